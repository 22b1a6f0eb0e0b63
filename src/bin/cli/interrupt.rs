//! Ctrl-C: stops what is being generated; ends the program when nothing is.

use std::{
    process::exit,
    sync::atomic::{AtomicBool, Ordering},
};

static BUSY: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicBool = AtomicBool::new(false);

/// Exit code of a program that Ctrl-C ended.
pub const EXIT_CODE: u8 = 130;

/// While this lives, Ctrl-C is only noted, for [`asked`] to tell; a second one ends the program all the same.
pub struct Catch(());

impl Catch {
    /// Begins to catch.
    pub fn begin() -> Self {
        static INSTALLED: std::sync::Once = std::sync::Once::new();
        // Without a handler Ctrl-C ends the program at once, which is no worse than before.
        INSTALLED.call_once(|| drop(ctrlc::set_handler(on_interrupt)));
        ASKED.store(false, Ordering::SeqCst);
        BUSY.store(true, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Catch {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::SeqCst);
    }
}

/// Has Ctrl-C been pressed since [`Catch::begin`]?
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

fn on_interrupt() {
    if !BUSY.load(Ordering::SeqCst) || ASKED.swap(true, Ordering::SeqCst) {
        exit(EXIT_CODE.into());
    }
}
