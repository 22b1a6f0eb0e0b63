"""Golden values for src/text/template.rs: tests/golden/text_templates.json.

    python -m venv venv && venv/bin/pip install transformers==5.23.0 jinja2==3.1.6
    venv/bin/python tests/generators/text_templates.py tests/golden/text_templates.json

Rendered by transformers itself. The templates here are our own; between them they use every construct that the
templates of the usual models use. Those models' templates are under their own licences, so they are not kept here. To
check against them, unpack an sdist of llama-cpp-python (0.3.9 has 17 in vendor/llama.cpp/models/templates and more
inside vendor/llama.cpp/tests/test-chat-template.cpp), and:

    venv/bin/python tests/generators/text_templates.py /tmp/real.json --real UNPACKED/vendor/llama.cpp
    VOTIVE_TEMPLATES=/tmp/real.json cargo test --lib real_templates -- --ignored
"""

import ast
import datetime
import json
import pathlib
import re
import sys

import transformers.utils.chat_template_utils as utils

NOW = 1_753_000_205  # 20 July 2025, 08:30:05 UTC


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(NOW, datetime.timezone.utc)


utils.datetime = Clock

TEMPLATES = {
    # ChatML, with a system message of its own when there is none
    "chatml": """{%- for m in messages %}
    {%- if loop.first and m['role'] != 'system' %}{{ '<|im_start|>system\\nBe brief.<|im_end|>\\n' }}{% endif %}
    {{- '<|im_start|>' + m.role + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    # in the manner of Llama 2: the system message inside the first user turn, turns must alternate
    "inst": """{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}
{% else %}{% set rest = messages %}{% set system = false %}{% endif %}
{% for m in rest %}
{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate: user, assistant, user ...') }}{% endif %}
{% if loop.index0 == 0 and system != false %}{% set text = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + m['content'] %}
{% else %}{% set text = m['content'] %}{% endif %}
{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + text.strip() + ' [/INST]' }}
{% elif m['role'] == 'assistant' %}{{ ' ' + text.strip() + ' ' + eos_token }}{% endif %}
{% endfor %}""",
    # in the manner of Llama 3: headers, date, tools as indented JSON, tool calls
    "headers": """{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not date is defined %}
    {%- if strftime_now is defined %}{%- set date = strftime_now("%d %b %Y") %}{%- else %}{%- set date = "26 Jul 2024" %}{%- endif %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content']|trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set system = "" %}{%- endif %}
{{- "<|h|>system<|/h|>\\n\\n" }}
{%- if tools is not none %}{{- "Environment: ipython\\n" }}{%- endif %}
{{- "Today: " + date + "\\n\\n" }}
{%- if tools is not none %}
    {%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\\n\\n" }}{%- endfor %}
{%- endif %}
{{- system }}{{- "<|eot|>" }}
{%- for m in messages %}
    {%- if not (m.role == 'ipython' or m.role == 'tool' or 'tool_calls' in m) %}
        {{- '<|h|>' + m['role'] + '<|/h|>\\n\\n' + m['content'] | trim + '<|eot|>' }}
    {%- elif 'tool_calls' in m %}
        {%- if not m.tool_calls|length == 1 %}{{- raise_exception("only single tool-calls") }}{%- endif %}
        {%- set call = m.tool_calls[0].function %}
        {{- '<|h|>assistant<|/h|>\\n\\n' -}}{{- '{"name": "' + call.name + '", ' }}{{- '"parameters": ' }}
        {{- call.arguments | tojson }}{{- "}" }}{{- "<|eot|>" }}
    {%- elif m.role == "tool" or m.role == "ipython" %}
        {{- "<|h|>ipython<|/h|>\\n\\n" }}
        {%- if m.content is mapping or m.content is iterable %}{{- m.content | tojson }}{%- else %}{{- m.content }}{%- endif %}
        {{- "<|eot|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|h|>assistant<|/h|>\\n\\n' }}{%- endif %}
""",
    # in the manner of Gemma: no system role, the assistant is called model
    "model_turns": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (m['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = m['role'] %}{% endif %}{{ '<turn>' + role + '\\n' + m['content'] | trim + '</turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<turn>model\\n'}}{% endif %}""",
    # in the manner of Gemma 3: content may be parts
    "parts": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}{%- set first = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}{%- set first = messages[0]['content'][0]['text'] + '\\n\\n' -%}{%- endif -%}
    {%- set rest = messages[1:] -%}
{%- else -%}{%- set first = "" -%}{%- set rest = messages -%}{%- endif -%}
{%- for m in rest -%}
    {{ '<turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n' + (first if loop.first else "") }}
    {%- if m['content'] is string -%}{{ m['content'] | trim }}
    {%- elif m['content'] is iterable -%}
        {%- for item in m['content'] -%}
            {%- if item['type'] == 'image' -%}{{ '<image>' }}{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}
        {%- endfor -%}
    {%- else -%}{{ raise_exception("Invalid content type") }}{%- endif -%}
    {{ '</turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<turn>model\\n' }}{%- endif -%}
""",
    # in the manner of Mistral Nemo: namespaces, filters over messages, tools before the last user message
    "namespaces": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}{%- set loop_messages = messages[1:] %}
{%- else %}{%- set loop_messages = messages %}{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- set users = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace(index=0, last=none) %}
{%- for m in loop_messages %}
    {%- if not (m.role == "tool" or m.role == "tool_results" or (m.tool_calls is defined and m.tool_calls is not none)) %}
        {%- if (m["role"] == "user") != (ns.index % 2 == 0) %}{{- raise_exception("After the optional system message, roles must alternate") }}{%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for m in loop_messages %}
    {%- if m["role"] == "user" %}
        {%- if tools is not none and (m == users[-1]) %}
            {{- "[TOOLS][" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}{{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}{{- '"' + key + '": "' + val + '"' }}{%- else %}{{- '"' + key + '": ' + val|tojson }}{%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}}" }}{%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}
            {%- endfor %}
            {{- "[/TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}{{- "[INST]" + system_message + "\\n\\n" + m["content"] + "[/INST]" }}
        {%- else %}{{- "[INST]" + m["content"] + "[/INST]" }}{%- endif %}
    {%- elif m.tool_calls is defined and m.tool_calls is not none %}
        {{- "[CALLS][" }}
        {%- for call in m.tool_calls %}
            {%- set out = call.function|tojson %}{{- out[:-1] }}
            {%- if not call.id is defined or call.id|length != 9 %}{{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}{%- endif %}
            {{- ', "id": "' + call.id + '"}' }}{%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" + eos_token }}{%- endif %}
        {%- endfor %}
    {%- elif m["role"] == "assistant" %}{{- m["content"] + eos_token }}
    {%- elif m["role"] == "tool" %}
        {%- if m.content is defined and m.content.content is defined %}{%- set content = m.content.content %}{%- else %}{%- set content = m.content %}{%- endif %}
        {{- '[RESULTS]{"content": ' + content|string + ", " }}{{- '"id": "' + m.tool_call_id + '"}[/RESULTS]' }}
    {%- else %}{{- raise_exception("Only user and assistant roles are supported") }}{%- endif %}
{%- endfor %}
""",
    # in the manner of Qwen 3: reverse iteration, string surgery, merged tool answers, a switch
    "thinking": """{%- if tools %}
    {{- '<s>system\\n' }}{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- "# Tools\\n<tools>" }}{%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}{{- "\\n</tools></s>\\n" }}
{%- elif messages[0].role == 'system' %}{{- '<s>system\\n' + messages[0].content + '</s>\\n' }}{%- endif %}
{%- set ns = namespace(multi=true, last=messages|length - 1) %}
{%- for m in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi and m.role == "user" and not(m.content.startswith('<result>') and m.content.endswith('</result>')) %}
        {%- set ns.multi = false %}{%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
    {%- if m.content is string %}{%- set content = m.content %}{%- else %}{%- set content = '' %}{%- endif %}
    {%- if (m.role == "user") or (m.role == "system" and not loop.first) %}{{- '<s>' + m.role + '\\n' + content + '</s>' + '\\n' }}
    {%- elif m.role == "assistant" %}
        {%- set thought = '' %}
        {%- if m.reasoning_content is string %}{%- set thought = m.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and (loop.last or (not loop.last and thought)) %}
            {{- '<s>assistant\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}{{- '<s>assistant\\n' + content }}{%- endif %}
        {%- if m.tool_calls %}
            {%- for call in m.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}{{- '\\n' }}{%- endif %}
                {%- if call.function %}{%- set call = call.function %}{%- endif %}
                {{- '<call>\\n{"name": "' }}{{- call.name }}{{- '", "arguments": ' }}
                {%- if call.arguments is string %}{{- call.arguments }}{%- else %}{{- call.arguments | tojson }}{%- endif %}
                {{- '}\\n</call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '</s>\\n' }}
    {%- elif m.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<s>user' }}{%- endif %}
        {{- '\\n<result>\\n' }}{{- content }}{{- '\\n</result>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '</s>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<s>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}""",
    # in the manner of Phi-3, Zephyr and Falcon
    "lines": """{% for m in messages %}{% if m['role'] == 'system' and m['content'] %}{{'<|system|>\\n' + m['content'] + '<|end|>\\n'}}{% elif m['role'] == 'user' %}{{'<|user|>\\n' + m['content'] + '<|end|>\\n'}}{% elif m['role'] == 'assistant' %}{{'<|assistant|>\\n' + m['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}""",
    "block_lines": """{% for m in messages %}
{% if m['role'] == 'user' %}
{{ '<|user|>\\n' + m['content'] + eos_token }}
{% elif m['role'] == 'system' %}
{{ '<|system|>\\n' + m['content'] + eos_token }}
{% elif m['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + m['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    "capitals": """{% for m in messages %}{% if not loop.first %}{{ '\\n' }}{% endif %}{{ m['role'].capitalize() + ': ' + m['content'].replace('\\r\\n', '\\n').replace('\\n\\n', '\\n') }}{% endfor %}{% if add_generation_prompt %}{{ '\\nAssistant:' }}{% endif %}""",
    # what else is seen: macros, generation blocks, loop controls, Python's printing and methods, inline conditions
    "constructs": """{#- a comment -#}
{%- macro turn(role, text, mark='|') -%}
<{{ mark }}{{ role | upper }}{{ mark }}>{{ text }}
{%- endmacro -%}
{%- set kinds = {'system': 'S', 'user': 'U', 'assistant': 'A'} -%}
{%- for m in messages -%}
  {%- if m.role not in kinds -%}{%- continue -%}{%- endif -%}
  {%- if loop.index > 5 -%}{%- break -%}{%- endif -%}
  {%- if m.role == 'assistant' -%}
    {%- generation -%}{{ turn(kinds[m.role], m.content, mark='!') }}{%- endgeneration -%}
  {%- else -%}{{ turn(kinds.get(m.role, '?'), m.content) }}{%- endif -%}
{%- endfor %}
{{ none }} {{ true }} {{ false }} {{ 3 // 2 }} {{ 7 % 3 }} {{ 2 ** 3 }} {{ 1.5 }} {{ 'a' ~ 1 ~ 'b' }} {{ undefined_variable }}|
{{ ['x', 'y'] | join(', ') }} {{ 'A-b'.lower() }} {{ 'abc'[1:] }} {{ 'abc'[-1] }} {{ 'a,b'.split(',') | length }} {{ ' x '.strip() }}|{{ 'x' * 3 }}
{{ {'b': 1, 'a': [1, 2.5, true, none, "é<>&'"]} | tojson }} {{ {'b': 1, 'a': []} | tojson(sort_keys=true, separators=(',', ':')) }} {{ "é🙂" | tojson(ensure_ascii=true) }}
{{ {'a': {'b': [1, {}]}} | tojson(indent=2) }}
{% if messages | length > 1 and messages[-1].role == 'user' %}{{ messages | map(attribute='role') | join('/') }}{% endif %}
{% for k, v in {'one': 1, 'two': 2} | items %}{{ k }}={{ v }}{{ '' if loop.last else ';' }}{% endfor %}
{{ "%d.%m.%Y" | string }} {{ strftime_now("%A %-d %B %Y, %H:%M:%S %j %y %I %p %%") }}
{% set ns = namespace(found=false) %}{% for m in messages if m.role == 'user' %}{% set ns.found = true %}{% endfor %}{{ 'found' if ns.found else 'none' }}
{{ (messages | first).role }} {{ (messages | last)['role'] }} {{ messages[0].content | default('') | length }} {{ '' or 'fallback' }} {{ missing is defined }} {{ [3, 1, 2] | sort | list | length }} {{ range(3) | list | length }}
    {%+ if true %}kept indent{% endif %}
""",
}

SYSTEM = {"role": "system", "content": "You are helpful. "}
USER = {"role": "user", "content": "  What's <b>2+2</b> & \"why\"?\n"}
ANSWER = {"role": "assistant", "content": "Four, naturally.\n\nÉ🙂"}
AGAIN = {"role": "user", "content": "Again\r\n\r\nplease"}
CALL = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "abcdefgh1", "type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich", "days": 3, "units": None}}}]}
RESULT = {"role": "tool", "name": "weather", "tool_call_id": "abcdefgh1", "content": "{\"temp\": 21.5}"}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "The weather of a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "name <of> it"}, "days": {"type": "integer"}}, "required": ["city"]}}}]
CASES = {
    "user": ([USER], {}),
    "system": ([SYSTEM, USER], {}),
    "turns": ([USER, ANSWER, AGAIN], {}),
    "system_turns": ([SYSTEM, USER, ANSWER, AGAIN, ANSWER], {}),
    "no_alternation": ([USER, AGAIN], {}),
    "thought": ([USER, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nFour"}, AGAIN], {"enable_thinking": False}),
    "reasoning": ([USER, {"role": "assistant", "content": "Four", "reasoning_content": "2+2"}], {}),
    "parts": ([{"role": "user", "content": [{"type": "text", "text": " See "}, {"type": "image"}, {"type": "text", "text": "this"}]}], {}),
    "tools": ([SYSTEM, USER], {"tools": TOOLS}),
    "tool_calls": ([USER, CALL, RESULT, {"role": "assistant", "content": "21.5 degrees"}, AGAIN], {"tools": TOOLS}),
}


def render(template, case, prompt):
    messages, more = CASES[case]
    try:
        compiled = utils._compile_jinja_template(template)
        return {"text": compiled.render(messages=messages, tools=more.get("tools"), documents=None, add_generation_prompt=prompt,
                                        bos_token="<bos>", eos_token="<eos>", **{k: v for k, v in more.items() if k != "tools"})}
    except Exception as e:
        return {"refused" if type(e).__name__ == "TemplateError" else "failed": f"{type(e).__name__}: {e}" if type(e).__name__ != "TemplateError" else str(e)}


def real(root):
    found = {p.stem: p.read_text() for p in sorted((root / "models/templates").glob("*.jinja"))}
    source = (root / "tests/test-chat-template.cpp").read_text()
    cases = re.findall(r'\.name= \*/ ("(?:[^"\\]|\\.)*"),\s*/\* \.template_str= \*/ (?:U8C\()?((?:\s*"(?:[^"\\]|\\.)*")+)', source)
    for name, template in cases:
        pieces = re.findall(r'"(?:[^"\\]|\\.)*"', template)
        found[ast.literal_eval(name)] = "".join(ast.literal_eval(p.replace("\n", "\\n")) for p in pieces)
    # `|safe` makes Python escape what is added to it as HTML, an accident that nobody wants in a prompt
    return {name: template for name, template in found.items() if "|safe" not in template}


templates = real(pathlib.Path(sys.argv[3])) if len(sys.argv) > 3 else TEMPLATES
rows = [{"template": n, "case": c, "prompt": p, **render(t, c, p)} for n, t in templates.items() for c in CASES for p in (False, True)]
cases = {c: {"messages": m, "tools": more.get("tools"), "variables": {k: v for k, v in more.items() if k != "tools"}} for c, (m, more) in CASES.items()}
json.dump({"now": NOW, "templates": templates, "cases": cases, "rows": rows}, open(sys.argv[1], "w"), ensure_ascii=True, indent=None, separators=(",", ":"))
print(len(templates), "templates,", len(rows), "renderings,", sum("failed" in r for r in rows), "failed,", sum("refused" in r for r in rows), "refused")
