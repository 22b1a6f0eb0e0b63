// The benchmark page, as a visitor uses it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setUp } from './harness.js';

describe('the benchmark page', { concurrency: 1 }, () => {
  let at;
  let page;
  const problems = [];
  before(async () => {
    at = await setUp();
    await at.browser.grantPermissions(['clipboard-read', 'clipboard-write']);
    page = await at.browser.newPage();
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('request', (request) => {
      if (/^https?:/.test(request.url()) && !request.url().startsWith(at.site.base)) problems.push(`asked another site: ${request.url()}`);
    });
  });
  after(() => at?.close());

  test('is reached from the index and tells what this browser has', async () => {
    await page.goto(`${at.site.base}/`);
    await page.getByRole('link', { name: 'How fast is this browser?' }).click();
    await page.getByRole('button', { name: 'Measure' }).and(page.locator(':enabled')).waitFor();
    assert.match(await page.locator('#machine').innerText(), /Processors\s+\d+/);
    assert.equal(await page.locator('[value=relaxed]').isEnabled(), true);
    // This page is not isolated: the reason stands where the description would.
    assert.equal(await page.locator('[value=threads]').isEnabled(), false);
    assert.match(await page.locator('label:has([value=threads])').innerText(), /cross-origin isolated/);
  });

  test('measures the chosen engines in turn and copies a table', async () => {
    for (const id of ['webgpu', 'relaxed', 'simd']) await page.locator(`[name=engine][value=${id}]`).setChecked(id !== 'webgpu').catch(() => assert.equal(id, 'webgpu'));
    for (const [id, value] of [['prompt-tokens', 12], ['new-tokens', 8], ['runs', 1]]) await page.locator(`#${id}`).fill(String(value));
    await page.getByRole('button', { name: 'Measure' }).click();
    await page.getByText('Done.', { exact: true }).waitFor({ timeout: 120_000 });
    const rows = await page.locator('#table tbody tr').evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
    assert.deepEqual(rows.map(([name]) => name), ['CPU, relaxed SIMD', 'CPU, SIMD']);
    for (const cells of rows) for (const cell of cells.slice(1)) assert.ok(Number.parseFloat(cell) > 0, `${cell} in ${cells}`);
    await page.getByRole('button', { name: 'Copy as a table' }).click();
    await page.getByText('Copied.').waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, /^SmolLM2 135M Instruct, prompt of 12 tokens\n\n\| Engine \|/);
    assert.equal(copied.split('\n').filter((line) => line.startsWith('| CPU')).length, 2);
  });

  test('can be stopped', async () => {
    await page.locator('#new-tokens').fill('512');
    await page.getByRole('button', { name: 'Measure' }).click();
    await page.getByText(/warming up/).waitFor({ timeout: 60_000 });
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor({ timeout: 60_000 });
    assert.equal(await page.locator('#error').isVisible(), false);
    assert.deepEqual(problems, []);
  });
});
