//! What a person sees: results on standard output, the rest on standard error.

use std::{
    error::Error,
    io::{IsTerminal, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use promparquet_convert::Control;
use tokio::task::JoinHandle;

use snafu::ResultExt;

use crate::{
    error::PrintSnafu,
    number::{show_bytes, show_count},
};

/// A result. A reader that went away (`| head`) does not stop the work.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A part of a result that is nothing but printed, so that printing may stop.
pub(crate) fn try_line(text: &str) -> Result<(), crate::error::Error> {
    writeln!(std::io::stdout(), "{text}").context(PrintSnafu)
}

/// What happens meanwhile.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// An error with all its causes.
pub(crate) fn error(error: &dyn Error) {
    note(&format!("error: {}", chain(error)));
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Shows how far a conversion is: as a bar on a terminal, as a line every ten seconds elsewhere.
pub(crate) struct Watch {
    task: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

impl Watch {
    pub(crate) fn start(name: String, control: Arc<Control>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} {bar:30} {human_pos}/{human_len} series, {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style).with_message(name.clone())
        });
        let shown = bar.clone();
        let task = tokio::spawn(async move {
            let mut last_line = Instant::now();
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let progress = control.progress();
                match &shown {
                    Some(bar) => {
                        bar.set_length(progress.series_total);
                        bar.set_position(progress.series_done);
                    }
                    None if last_line.elapsed() >= Duration::from_secs(10) => {
                        last_line = Instant::now();
                        let (done, total) = (show_count(progress.series_done), show_count(progress.series_total));
                        note(&format!("{name}: {done} of {total} series, {} written", show_bytes(progress.bytes_out)));
                    }
                    None => {}
                }
            }
        });
        Self { task, bar }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Ends with the first Ctrl-C or SIGTERM from now on.
pub(crate) fn stop_signal() -> impl Future<Output = ()> + Send {
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    async move {
        let terminated = async {
            match terminate {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated => {}
        }
    }
}

/// The first Ctrl-C or SIGTERM lets the conversion clean up; the second ends the process as usual.
pub(crate) fn stop_at_signal(control: Arc<Control>) {
    tokio::spawn(async move {
        let terminated = async {
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated => {}
        }
        note("stopping; once more to stop at once");
        control.cancel();
        let _ = tokio::signal::ctrl_c().await;
        std::process::exit(130);
    });
}
