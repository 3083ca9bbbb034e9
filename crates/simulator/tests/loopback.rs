//! The centre and the generator against each other over loopback: everything is accounted for, whatever
//! goes wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use runtime::{Clock, Tasks};
use simulator::bench::{self, BindType, Options, Report};
use simulator::smsc::{Credentials, Delay, ErrorShare, IdForm, ReceiptPath, ReceiptStyle};
use simulator::{Settings, Smsc};
use smpp::Status;

async fn start(settings: Settings) -> (Smsc, Tasks) {
    let tasks = Tasks::new();
    let settings = Settings { seed: Some(7), ..settings };
    (Smsc::start(settings, &tasks, Clock::system()).await.unwrap(), tasks)
}

fn options(smsc: &Smsc) -> Options {
    Options {
        target: smsc.address().to_string(),
        count: Some(2_000),
        window: 100,
        receipt_timeout_ms: 5_000,
        settle_ms: 50,
        ..Options::default()
    }
}

async fn run(options: Options, tasks: &Tasks) -> Report {
    bench::smpp(options, tasks).await.unwrap()
}

/// The sum of all fates is what was submitted.
fn assert_balanced(report: &Report) {
    let rejected: u64 = report.rejected.values().sum();
    assert_eq!(report.accepted + rejected + report.indeterminate + report.unsent, report.submits, "{report}");
    let receipts = report.receipts.as_ref().unwrap();
    assert_eq!(receipts.delivered + receipts.failed + receipts.missing, report.accepted, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_accounted_for_at_every_window() {
    let (smsc, tasks) = start(Settings::default()).await;
    for (round, (window, binds)) in [(1, 1), (10, 2), (100, 3), (1_000, 1)].into_iter().enumerate() {
        let first_id = round as u64 * 2_000;
        let report = run(Options { window, binds, first_id, ..options(&smsc) }, &tasks).await;
        assert!(report.is_clean(), "{report}");
        assert_eq!((report.messages, report.accepted), (2_000, 2_000));
        assert_eq!(report.receipt.count, 2_000);
    }
    let seen = smsc.seen();
    assert_eq!((seen.total, seen.distinct), (8_000, 8_000));
    assert!(seen.duplicates.is_empty() && smsc.missing(0..8_000).is_empty());
    assert_eq!(smsc.counts().acknowledged, 8_000);
    assert!(tasks.stop(Duration::from_secs(2)).await, "all tasks end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_messages_are_two_submits() {
    let (smsc, tasks) = start(Settings::default()).await;
    let report = run(Options { long_percent: 50, ..options(&smsc) }, &tasks).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.messages, report.submits), (2_000, 3_000));
    assert_eq!(smsc.seen().distinct, 2_000);
    let phones = smsc.phones().list();
    let long = phones.iter().find(|phone| phone.latest.parts == 2).unwrap();
    assert!(long.latest.text.chars().count() > 160);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_generator_pauses_and_loses_nothing() {
    let (smsc, tasks) = start(Settings { throughput: 2_000, ..Settings::default() }).await;
    let report = run(options(&smsc), &tasks).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.throttled > 0);
    assert_eq!(smsc.counts().throttled, report.throttled);
    // A burst of 200, then 2,000 a second.
    assert!(report.elapsed_s > 0.85, "{report}");
    assert_eq!(smsc.seen().repeated, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_rate_is_kept() {
    let (smsc, tasks) = start(Settings::default()).await;
    let report = run(Options { rate: 2_000, count: Some(1_000), binds: 2, ..options(&smsc) }, &tasks).await;
    assert!(report.is_clean(), "{report}");
    assert!((0.45..5.0).contains(&report.elapsed_s), "the last is due after 0.499 s: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_centre_took_and_never_answered_is_indeterminate() {
    let (smsc, tasks) = start(Settings { drop_after_accept_percent: 2.0, ..Settings::default() }).await;
    let report = run(Options { window: 1, count: Some(500), ..options(&smsc) }, &tasks).await;
    assert_balanced(&report);
    assert!(report.indeterminate > 0);
    assert_eq!(report.indeterminate, smsc.counts().dropped);
    assert_eq!(report.reconnects, report.indeterminate);
    let receipts = report.receipts.unwrap();
    assert_eq!(receipts.missing, 0, "{receipts:?}");
    assert_eq!(receipts.unknown, report.indeterminate, "their receipts come all the same");
    assert_eq!(smsc.seen().distinct, 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_lose_no_receipt() {
    let (smsc, tasks) = start(Settings { drop_every: 150, ..Settings::default() }).await;
    let report = run(Options { window: 10, count: Some(1_000), ..options(&smsc) }, &tasks).await;
    assert_balanced(&report);
    assert!(report.reconnects > 3, "{report}");
    assert_eq!(report.receipts.unwrap().missing, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_style_and_form_of_receipt_is_matched() {
    let (smsc, tasks) = start(Settings { undelivered_percent: 10.0, ..Settings::default() }).await;
    let forms = [
        (IdForm::Decimal, IdForm::Hex),
        (IdForm::HexUpper, IdForm::Decimal),
        (IdForm::Decimal, IdForm::DecimalPadded),
        (IdForm::HexPadded, IdForm::HexUpper),
        (IdForm::Uuid, IdForm::Uuid),
    ];
    for (round, (id_form, receipt_id_form)) in forms.into_iter().enumerate() {
        smsc.change(|settings| {
            settings.receipt_style = ReceiptStyle::Mixed;
            (settings.id_form, settings.receipt_id_form) = (id_form, receipt_id_form);
        });
        let first_id = round as u64 * 1_000;
        let report = run(Options { count: Some(240), first_id, ..options(&smsc) }, &tasks).await;
        assert!(report.is_clean(), "{id_form:?} {receipt_id_form:?} {report}");
        assert!(report.receipts.unwrap().failed > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_take_the_receiver_and_wait_for_it() {
    let (smsc, tasks) = start(Settings { receipt_path: ReceiptPath::Receiver, ..Settings::default() }).await;
    // Transceivers alone: the receipts wait.
    let in_vain = Options { count: Some(100), receipt_timeout_ms: 300, ..options(&smsc) };
    let report = run(in_vain, &tasks).await;
    assert_eq!(report.receipts.unwrap().missing, 100);
    assert_eq!(smsc.counts().waiting, 100);
    // A receiver gets those, and its own.
    let pair = Options { bind_type: BindType::Pair, count: Some(100), first_id: 100, ..options(&smsc) };
    let receipts = run(pair, &tasks).await.receipts.unwrap();
    assert_eq!((receipts.delivered, receipts.missing, receipts.unknown), (100, 0, 100));
    assert_eq!(smsc.counts().waiting, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_time_and_repetition_are_as_set() {
    let (smsc, tasks) = start(Settings {
        latency: Delay { ms: 10, jitter_ms: 5 },
        receipt_delay: Delay { ms: 40, jitter_ms: 20 },
        out_of_order_percent: 30.0,
        receipt_first_percent: 20.0,
        duplicate_receipt_percent: 10.0,
        ..Settings::default()
    })
    .await;
    let report = run(Options { count: Some(1_000), settle_ms: 300, ..options(&smsc) }, &tasks).await;
    assert_balanced(&report);
    let receipts = report.receipts.as_ref().unwrap();
    assert_eq!(receipts.missing, 0);
    assert!((120..=280).contains(&receipts.early), "{receipts:?}");
    assert!((50..=150).contains(&receipts.duplicate), "{receipts:?}");
    assert!(report.response.p50_ms >= 5.0 && report.receipt.p50_ms >= 20.0, "{report}");
    assert_eq!(smsc.counts().receipts, 1_000 + receipts.duplicate);
    smsc.change(|settings| {
        *settings = Settings { no_receipt_percent: 50.0, ..Settings::default() };
    });
    let report = run(Options { count: Some(400), receipt_timeout_ms: 300, ..options(&smsc) }, &tasks).await;
    assert!((120..=280).contains(&report.receipts.unwrap().missing));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_come_in_their_shares() {
    let errors = vec![
        ErrorShare { status: Status::RSYSERR.0, percent: 10.0 },
        ErrorShare { status: 0x0410, percent: 5.0 },
        ErrorShare { status: Status::RMSGQFUL.0, percent: 1.0 },
    ];
    let (smsc, tasks) = start(Settings { errors, ..Settings::default() }).await;
    let report = run(options(&smsc), &tasks).await;
    assert_balanced(&report);
    assert!((120..=280).contains(&report.rejected["ESME_RSYSERR"]), "{report}");
    assert!((50..=150).contains(&report.rejected["status 0x00000410"]), "{report}");
    assert!(report.queue_full > 0 && report.indeterminate == 0);
    assert_eq!(smsc.counts().refused, report.queue_full + report.rejected.values().sum::<u64>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_kills_nobody() {
    let (smsc, tasks) = start(Settings { nonsense_percent: 10.0, ..Settings::default() }).await;
    let sane = Options { count: Some(300), window: 10, ..options(&smsc) };
    let report =
        run(Options { response_timeout_ms: 200, receipt_timeout_ms: 300, ..sane.clone() }, &tasks).await;
    assert_balanced(&report);
    assert!(report.indeterminate > 0 && report.accepted > 0, "{report}");
    smsc.change(|settings| settings.nonsense_percent = 0.0);
    let report = run(Options { first_id: 1_000, ..sane }, &tasks).await;
    assert_eq!(report.accepted, 300, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_are_checked() {
    let credentials = Credentials { system_id: "acme".to_owned(), password: "secret".to_owned() };
    let (smsc, tasks) = start(Settings { accounts: vec![credentials], ..Settings::default() }).await;
    let right = Options {
        system_id: "acme".to_owned(),
        password: "secret".to_owned(),
        count: Some(10),
        ..options(&smsc)
    };
    assert!(run(right.clone(), &tasks).await.is_clean());
    for (system_id, password, status) in
        [("acme", "wrong", "ESME_RINVPASWD"), ("other", "secret", "ESME_RINVSYSID")]
    {
        let wrong =
            Options { system_id: system_id.to_owned(), password: password.to_owned(), ..right.clone() };
        let refusal = bench::smpp(wrong, &tasks).await.unwrap_err();
        assert!(refusal.message().contains(status), "{refusal}");
    }
    let nobody = Options { target: "127.0.0.1:1".to_owned(), ..right };
    assert!(bench::smpp(nobody, &tasks).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_options_and_reports_are_json() {
    let settings: Settings =
        serde_json::from_str(r#"{"latency": {"ms": 2}, "receipt_style": "tlv_only"}"#).unwrap();
    assert_eq!((settings.latency, settings.receipt_style), (Delay::of_ms(2), ReceiptStyle::TlvOnly));
    assert!(serde_json::from_str::<Settings>(r#"{"latncy": {}}"#).is_err(), "a typing error is told");
    let (smsc, tasks) = start(settings).await;
    let given = Options { count: Some(50), pid: Some(std::process::id()), ..options(&smsc) };
    let given = serde_json::from_str(&serde_json::to_string(&given).unwrap()).unwrap();
    let report = serde_json::to_value(run(given, &tasks).await).unwrap();
    assert_eq!((&report["accepted"], &report["receipts"]["delivered"]), (&50.into(), &50.into()));
    assert!(report["response"]["p99_ms"].as_f64().unwrap() >= 2.0);
    assert_eq!(report["timeline"][0]["submits"], 50);
    assert!(serde_json::to_value(smsc.phones().list()).unwrap()[0]["latest"]["at"].is_string());
    assert_eq!(serde_json::to_value(smsc.counts()).unwrap()["accepted"], 50);
}
