//! The personal data of this crate's tables: phones that messages go to and come from, and what the messages say.
//!
//! A message that is erased keeps its row, its state and its times, so that every sum stays what it was. Who it went to, what it
//! said and what its sender called it are overwritten.

use db::sql;
use runtime::personal::{Basis, By, Erasure, Export, Kept, Personal, Way};

mod lists;
mod messages;
pub(crate) mod traffic;

const PEOPLE: &str = "people whom messages go to, or come from";
const SENDING: &str = "carrying messages";

const fn told(
    count: &'static str,
    erase: &'static str,
    select: &'static str,
    fields: &'static [&'static str],
    given: bool,
) -> Way {
    Way {
        by: By::Phone,
        count,
        export: Some(Export { select, fields, given }),
        erase: Erasure::Sql(erase),
        names: None,
    }
}

const fn beside(count: &'static str, erase: &'static str) -> Way {
    Way { by: By::Phone, count, export: None, erase: Erasure::Sql(erase), names: None }
}

const fn code(by: By, erase: runtime::personal::Eraser) -> Way {
    Way { by, count: "", export: None, erase: Erasure::Code(erase), names: None }
}

const MESSAGE_FIELDS: &[&str] = &["from", "to", "text", "state", "accepted_at_ms", "reference"];

/// What lies beside messages goes first, because it is found by them.
pub const PERSONAL: &[Personal] = &[
    Personal {
        table: "pdu",
        title: "What went over the wire for messages",
        subjects: PEOPLE,
        purpose: "answering for what carriers were given",
        basis: Basis::LegitimateInterest,
        kept: Kept::For(&["message.pdu"]),
        columns: "content",
        others: "id tenant_id message_id part at kind bind took_us",
        ways: &[
            beside(
                sql!(
                    "select count(*) as n from pdu p join message m on m.tenant_id = p.tenant_id and m.id = p.message_id \
                     where m.tenant_id = $1 and m.direction = 'out' and m.recipient = $2 and m.accepted_at < $3"
                ),
                sql!(
                    "delete from pdu where tenant_id = $1 and id in (select p.id from pdu p join message m \
                     on m.tenant_id = p.tenant_id and m.id = p.message_id where m.tenant_id = $1 and m.direction = 'out' \
                     and m.recipient = $2 and m.accepted_at < $3 limit $4)"
                ),
            ),
            beside(
                sql!(
                    "select count(*) as n from pdu p join message m on m.tenant_id = p.tenant_id and m.id = p.message_id \
                     where m.tenant_id = $1 and m.direction = 'in' and m.sender = $2 and m.accepted_at < $3"
                ),
                sql!(
                    "delete from pdu where tenant_id = $1 and id in (select p.id from pdu p join message m \
                     on m.tenant_id = p.tenant_id and m.id = p.message_id where m.tenant_id = $1 and m.direction = 'in' \
                     and m.sender = $2 and m.accepted_at < $3 limit $4)"
                ),
            ),
        ],
    },
    Personal {
        table: "attempt",
        title: "What carriers said of messages on their way",
        subjects: PEOPLE,
        purpose: SENDING,
        basis: Basis::Contract,
        kept: Kept::For(&["message", "inbound"]),
        columns: "outcome",
        others: "id tenant_id message_id part connection_id at",
        ways: &[beside(
            sql!(
                "select count(*) as n from attempt a join message m on m.tenant_id = a.tenant_id and m.id = a.message_id \
                 where m.tenant_id = $1 and m.direction = 'out' and m.recipient = $2 and m.accepted_at < $3"
            ),
            sql!(
                "delete from attempt where tenant_id = $1 and id in (select a.id from attempt a join message m \
                 on m.tenant_id = a.tenant_id and m.id = a.message_id where m.tenant_id = $1 and m.direction = 'out' \
                 and m.recipient = $2 and m.accepted_at < $3 limit $4)"
            ),
        )],
    },
    Personal {
        table: "message",
        title: "Messages",
        subjects: PEOPLE,
        purpose: SENDING,
        basis: Basis::Contract,
        kept: Kept::For(&["message.text", "message", "inbound.text", "inbound"]),
        columns: "sender recipient text octets client_ref options why error",
        others: "id tenant_id direction state account_id connection_id sender_kind recipient_kind data_coding parts intent lane \
                 registered attempts maybe_twice accepted_at expires_at updated_at done_at wake_at paused_by \
                 owner_id",
        ways: &[
            Way {
                by: By::Phone,
                count: sql!(
                    "select count(*) as n from message where tenant_id = $1 and direction = 'out' and recipient = $2 and accepted_at < $3"
                ),
                export: Some(Export {
                    select: sql!(
                        "select id as k, sender as f1, recipient as f2, coalesce(text, octets) as f3, state as f4, \
                         cast(accepted_at as text) as f5, client_ref as f6 from message \
                         where tenant_id = $1 and direction = 'out' and recipient = $2 and id > $3 order by id limit $4"
                    ),
                    fields: MESSAGE_FIELDS,
                    given: false,
                }),
                erase: Erasure::Code(messages::sent),
                names: Some(sql!(
                    "select distinct recipient as v from message where tenant_id = $1 and direction = 'out' and recipient > $2 \
                     order by recipient limit $3"
                )),
            },
            Way {
                by: By::Phone,
                count: sql!(
                    "select count(*) as n from message where tenant_id = $1 and direction = 'in' and sender = $2 and accepted_at < $3"
                ),
                export: Some(Export {
                    select: sql!(
                        "select id as k, sender as f1, recipient as f2, coalesce(text, octets) as f3, state as f4, \
                         cast(accepted_at as text) as f5, client_ref as f6 from message \
                         where tenant_id = $1 and direction = 'in' and sender = $2 and id > $3 order by id limit $4"
                    ),
                    fields: MESSAGE_FIELDS,
                    given: true,
                }),
                erase: Erasure::Sql(sql!(
                    "update message set sender = 'erased', sender_kind = 1280, text = null, octets = null, client_ref = null, \
                     options = null, why = null, error = case when error is null then null else 'erased' end \
                     where tenant_id = $1 and id in (select id from message where tenant_id = $1 and direction = 'in' \
                     and sender = $2 and accepted_at < $3 limit $4)"
                )),
                names: Some(sql!(
                    "select distinct sender as v from message where tenant_id = $1 and direction = 'in' and sender > $2 \
                     order by sender limit $3"
                )),
            },
        ],
    },
    Personal {
        table: "held_receipt",
        title: "Receipts that wait for their message",
        subjects: PEOPLE,
        purpose: SENDING,
        basis: Basis::Contract,
        kept: Kept::Until("messaging.receipt_hold_s"),
        columns: "phone receipt",
        others: "id tenant_id connection_id provider_key sender received_at expires_at",
        ways: &[beside(
            sql!(
                "select count(*) as n from held_receipt where tenant_id = $1 and phone = $2 and received_at < $3"
            ),
            sql!(
                "delete from held_receipt where tenant_id = $1 and id in (select id from held_receipt \
                 where tenant_id = $1 and phone = $2 and received_at < $3 limit $4)"
            ),
        )],
    },
    Personal {
        table: "inbound_part",
        title: "Parts of long messages that wait for the rest",
        subjects: PEOPLE,
        purpose: SENDING,
        basis: Basis::Contract,
        kept: Kept::Until("until the rest is there, or does not come"),
        columns: "sender octets",
        others: "id tenant_id connection_id recipient reference total part data_coding received_at",
        ways: &[beside(
            sql!(
                "select count(*) as n from inbound_part where tenant_id = $1 and sender = $2 and received_at < $3"
            ),
            sql!(
                "delete from inbound_part where tenant_id = $1 and id in (select id from inbound_part \
                 where tenant_id = $1 and sender = $2 and received_at < $3 limit $4)"
            ),
        )],
    },
    Personal {
        table: "conversation",
        title: "Phones that have written",
        subjects: PEOPLE,
        purpose: "answering who writes",
        basis: Basis::LegitimateInterest,
        kept: Kept::For(&["inbound"]),
        columns: "phone",
        others: "tenant_id last_id read_id",
        ways: &[beside(
            sql!(
                "select count(*) as n from conversation where tenant_id = $1 and phone = $2 and cast($3 as bigint) > 0"
            ),
            sql!(
                "delete from conversation where tenant_id = $1 and phone in (select phone from conversation \
                 where tenant_id = $1 and phone = $2 and cast($3 as bigint) > 0 limit $4)"
            ),
        )],
    },
    Personal {
        table: "opt_out",
        title: "The opt-out list",
        subjects: "people who do not want messages",
        purpose: "not writing to them",
        basis: Basis::LegalObligation,
        kept: Kept::Until("until they opt in again, or are erased; their mark goes on refusing"),
        columns: "phone word source",
        others: "id tenant_id scope number message_id at",
        ways: &[Way {
            names: Some(sql!(
                "select distinct phone as v from opt_out where tenant_id = $1 and phone > $2 order by phone limit $3"
            )),
            ..told(
                sql!("select count(*) as n from opt_out where tenant_id = $1 and phone = $2 and at < $3"),
                sql!(
                    "delete from opt_out where tenant_id = $1 and id in (select id from opt_out \
                     where tenant_id = $1 and phone = $2 and at < $3 limit $4)"
                ),
                sql!(
                    "select id as k, scope as f1, number as f2, word as f3, source as f4, cast(at as text) as f5 from opt_out \
                     where tenant_id = $1 and phone = $2 and id > $3 order by id limit $4"
                ),
                &["no_more", "number", "said", "source", "at_ms"],
                true,
            )
        }],
    },
    Personal {
        table: "blacklist",
        title: "The blacklist",
        subjects: "people whom, or from whom, nothing is let through",
        purpose: "keeping abuse out",
        basis: Basis::LegitimateInterest,
        kept: Kept::Until("until it is taken off"),
        columns: "value reason source",
        others: "id tenant_id kind expires_at created_at",
        ways: &[Way {
            names: Some(sql!(
                "select value as v from blacklist where tenant_id = $1 and kind = 'number' and value > $2 order by value limit $3"
            )),
            ..told(
                sql!(
                    "select count(*) as n from blacklist where tenant_id = $1 and kind = 'number' and value = $2 and created_at < $3"
                ),
                sql!(
                    "delete from blacklist where tenant_id = $1 and id in (select id from blacklist \
                     where tenant_id = $1 and kind = 'number' and value = $2 and created_at < $3 limit $4)"
                ),
                sql!(
                    "select id as k, reason as f1, source as f2 from blacklist \
                     where tenant_id = $1 and kind = 'number' and value = $2 and id > $3 order by id limit $4"
                ),
                &["reason", "source"],
                false,
            )
        }],
    },
    Personal {
        table: "refusal",
        title: "Messages that were not accepted",
        subjects: PEOPLE,
        purpose: "answering why a message was refused",
        basis: Basis::LegitimateInterest,
        kept: Kept::For(&["refusal"]),
        columns: "recipient reason text",
        others: "id tenant_id at account_id key_id sender code rule_id rule",
        ways: &[Way {
            names: Some(sql!(
                "select distinct recipient as v from refusal where tenant_id = $1 and recipient > $2 order by recipient limit $3"
            )),
            ..told(
                sql!("select count(*) as n from refusal where tenant_id = $1 and recipient = $2 and at < $3"),
                sql!(
                    "update refusal set recipient = 'erased', reason = 'erased', text = null where tenant_id = $1 and id in \
                     (select id from refusal where tenant_id = $1 and recipient = $2 and at < $3 limit $4)"
                ),
                sql!(
                    "select id as k, sender as f1, code as f2, reason as f3, text as f4, cast(at as text) as f5 from refusal \
                     where tenant_id = $1 and recipient = $2 and id > $3 order by id limit $4"
                ),
                &["from", "code", "reason", "text", "at_ms"],
                false,
            )
        }],
    },
    Personal {
        table: "lookup_answer",
        title: "Which network a phone is of",
        subjects: PEOPLE,
        purpose: "routing",
        basis: Basis::LegitimateInterest,
        kept: Kept::Until("for the time that the service's settings give"),
        columns: "number answer",
        others: "tenant_id provider_id at expires_at",
        ways: &[beside(
            sql!("select count(*) as n from lookup_answer where tenant_id = $1 and number = $2 and at < $3"),
            sql!(
                "delete from lookup_answer where tenant_id = $1 and number in (select number from lookup_answer \
                 where tenant_id = $1 and number = $2 and at < $3 limit $4)"
            ),
        )],
    },
    Personal {
        table: "inbound_reply",
        title: "When a phone was last answered by a rule",
        subjects: PEOPLE,
        purpose: "not answering machines for ever",
        basis: Basis::LegitimateInterest,
        kept: Kept::Until("for a day"),
        columns: "phone",
        others: "tenant_id number_id rule message_id at",
        ways: &[beside(
            sql!("select count(*) as n from inbound_reply where tenant_id = $1 and phone = $2 and at < $3"),
            sql!(
                "delete from inbound_reply where tenant_id = $1 and message_id in (select message_id from inbound_reply \
                 where tenant_id = $1 and phone = $2 and at < $3 limit $4) and phone = $2"
            ),
        )],
    },
    Personal {
        table: "distribution_list",
        title: "Distribution lists",
        subjects: "people on them",
        purpose: SENDING,
        basis: Basis::Consent,
        kept: Kept::Until("until somebody takes them off"),
        columns: "rule",
        others: "id tenant_id name revision created_at changed_at",
        ways: &[code(By::Phone, lists::members)],
    },
    Personal {
        table: "mail_gateway",
        title: "Who may send by mail",
        subjects: "people whose mail address is allowed",
        purpose: SENDING,
        basis: Basis::Contract,
        kept: Kept::Until("until somebody takes them off"),
        columns: "settings",
        others: "id tenant_id account_id name subdomain active revision created_at changed_at",
        ways: &[Way {
            by: By::Mail,
            count: sql!(
                "select count(*) as n from mail_gateway where tenant_id = $1 and lower(settings) like '%' || cast($2 as text) || '%' and created_at < $3"
            ),
            export: None,
            erase: Erasure::Keep(
                "a setting of the gateway: take the address off there, so that its mails are refused",
            ),
            names: None,
        }],
    },
    Personal {
        table: "cdr_file",
        title: "Files of call detail records: the numbers of sender and recipient stand in the files",
        subjects: PEOPLE,
        purpose: "billing",
        basis: Basis::LegalObligation,
        kept: Kept::For(&["cdr"]),
        columns: "name",
        others: "id tenant_id number format compression first_seq last_seq row_count event_seq lost bytes sha256 states state \
                 reason opened_at closed_at uploaded_at",
        ways: &[Way {
            by: By::Phone,
            count: sql!(
                "select count(*) as n from cdr_file where tenant_id = $1 and state <> 'removed' and opened_at < $3 \
                 and cast($2 as text) <> ''"
            ),
            export: None,
            erase: Erasure::Keep(
                "the records of what was carried prove bills and are kept as the law of accounts demands (GDPR article 17(3)(b)); the files go when their time is over",
            ),
            names: None,
        }],
    },
    Personal::none(
        "smpp_account",
        "id tenant_id system_id name password_hash active settings revision created_at changed_at",
    ),
    Personal::none(
        "connection",
        "id tenant_id name wanted settings password_sealed revision created_at changed_at",
    ),
    Personal::none("route", "id tenant_id name priority active rule revision created_at changed_at"),
    Personal::none(
        "part",
        "message_id part attempt tenant_id connection_id provider_id provider_key state error sent_at done_at",
    ),
    Personal::none("claim", "id connection_id at messages"),
    Personal::none("push", "id tenant_id account_id message_id kind state error at expires_at"),
    Personal::none("tally", "tenant_id bucket name n"),
    Personal::none(
        "cdr_stream",
        "tenant_id active settings revision changed_at event_seq row_seq file_number event_at parked",
    ),
    Personal::none("sender", "id tenant_id name folded record revision created_at changed_at"),
    Personal::none("sender_pool", "id tenant_id name rule revision created_at changed_at"),
    Personal::none("sender_policy", "tenant_id account_id policy changed_at"),
    Personal::none("firewall_rule", "id tenant_id name priority active rule revision created_at changed_at"),
    Personal::none("hours", "id tenant_id name active rule revision created_at changed_at"),
    Personal::none("gate_tally", "tenant_id hour rule_id outcome n"),
    Personal::none("route_head", "tenant_id number"),
    Personal::none("route_version", "id tenant_id number at actor comment n routes"),
    Personal::none("route_draft", "tenant_id base changed_at actor routes"),
    Personal::none("number_plan", "tenant_id prefix mcc mnc name country"),
    Personal::none(
        "lookup_provider",
        "id tenant_id name active settings headers_sealed revision created_at changed_at",
    ),
    Personal::none(
        "inbound_number",
        "id tenant_id number connection_id name active rule revision created_at changed_at",
    ),
    Personal::none("connection_hook", "connection_id tenant_id token secret_sealed changed_at"),
    Personal::none("pause", "id tenant_id kind target reason actor created_at"),
    Personal::none("known_country", "tenant_id account_id country first_at"),
    Personal::none("country_watch", "tenant_id message_id"),
    Personal::none("redrive", "tenant_id message_id new_id at"),
];
