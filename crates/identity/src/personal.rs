//! The personal data of this crate's tables: users, and what they did.

use db::sql;
use runtime::personal::{Basis, By, Erasure, Export, Kept, Personal, Way};

use crate::audit;

mod erase;
mod phones;

const USERS: &str = "users of the console and the API";
const WORK: &str = "signing in, and knowing who did what";
const UNTIL_ERASED: &str = "until the user is erased";

/// Rows of a user in a table that has nothing of theirs but what goes with them.
const fn gone(count: &'static str, erase: &'static str, export: Option<Export>) -> Way {
    Way { by: By::User, count, export, erase: Erasure::Sql(erase), names: None }
}

const fn by_code(by: By, count: &'static str, erase: runtime::personal::Eraser) -> Way {
    Way { by, count, export: None, erase: Erasure::Code(erase), names: None }
}

/// Events that name a phone or an address: in what was noticed, or in what somebody noted.
const fn noted(by: By) -> Way {
    Way {
        by,
        count: sql!(
            "select count(*) as n from security_event where tenant_id = $1 and first_at < $3 and (lower(subject) like '%' || cast($2 as text) || '%' \
             or lower(detail) like '%' || cast($2 as text) || '%' or lower(note) like '%' || cast($2 as text) || '%')"
        ),
        export: None,
        erase: Erasure::Sql(sql!(
            "update security_event set subject = 'erased', detail = 'erased', note = null where tenant_id = $1 and id in \
             (select id from security_event where tenant_id = $1 and first_at < $3 and (lower(subject) like '%' || cast($2 as text) || '%' \
             or lower(detail) like '%' || cast($2 as text) || '%' or lower(note) like '%' || cast($2 as text) || '%') limit $4)"
        )),
        names: None,
    }
}

/// What this crate keeps about persons. The trail and the stream come first, because they are cleaned by what the user's own row
/// still says.
pub const PERSONAL: &[Personal] = &[
    Personal {
        table: "audit_row",
        title: "The audit trail",
        subjects: "users, and recipients whom a change names",
        purpose: "proving who did what",
        basis: Basis::LegalObligation,
        kept: Kept::For(&["audit"]),
        columns: "subject data folded from_address",
        others: "tenant_id number seq at actor request_id kind previous hash",
        ways: &[
            by_code(By::Phone, "", audit::erase::identifier),
            by_code(By::Mail, "", audit::erase::identifier),
            by_code(By::User, "", audit::erase::user),
            Way {
                by: By::Actor,
                count: sql!(
                    "select count(*) as n from audit_row where tenant_id = $1 and at < $3 and (actor = $2 \
                     or actor like cast($2 as text) || ' by %' or actor like '% by ' || cast($2 as text))"
                ),
                export: None,
                erase: Erasure::Keep(
                    "what they did, under the number of their id and the network address, is kept to answer for it (GDPR article 17(3)(b))",
                ),
                names: None,
            },
        ],
    },
    Personal {
        table: "security_event",
        title: "Security events",
        subjects: "users, and strangers by the network they came from",
        purpose: "noticing attacks and misuse",
        basis: Basis::LegitimateInterest,
        kept: Kept::For(&["security_event"]),
        columns: "subject detail note",
        others: "id tenant_id kind severity user_id first_at last_at count state reason handled_by handled_at revision",
        ways: &[
            noted(By::Phone),
            noted(By::Mail),
            Way {
                by: By::User,
                count: sql!(
                    "select count(*) as n from security_event where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and first_at < $3"
                ),
                export: Some(Export {
                    select: sql!(
                        "select id as k, kind as f1, subject as f2, detail as f3, state as f4 from security_event \
                         where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and id > $3 order by id limit $4"
                    ),
                    fields: &["kind", "subject", "detail", "state"],
                    given: false,
                }),
                erase: Erasure::Code(erase::noticed),
                names: None,
            },
            Way {
                by: By::Actor,
                count: sql!(
                    "select count(*) as n from security_event where tenant_id = $1 and handled_by = $2 and first_at < $3"
                ),
                export: None,
                erase: Erasure::Keep(
                    "that they took up or closed an event is kept to answer for it, under the number of their id (GDPR article 17(3)(b))",
                ),
                names: None,
            },
        ],
    },
    Personal {
        table: "review_line",
        title: "Lines of reviews",
        subjects: USERS,
        purpose: "proving that rights were looked at",
        basis: Basis::LegalObligation,
        kept: Kept::Until("for ever, as evidence; without the name once the user is erased"),
        columns: "name note",
        others: "tenant_id review_id number kind subject held since last_used_at ends_at remarks decision decided_by decided_at",
        ways: &[by_code(By::User, "", erase::reviewed)],
    },
    Personal {
        table: "users",
        title: "Users",
        subjects: USERS,
        purpose: WORK,
        basis: Basis::Contract,
        kept: Kept::Until(UNTIL_ERASED),
        columns: "email email_folded name password_hash",
        others: "id tenant_id role language status created_at last_sign_in_at email_verified_at password_set_at imported_cost",
        ways: &[
            by_code(By::User, "", erase::events),
            Way {
                by: By::User,
                count: sql!(
                    "select count(*) as n from users where tenant_id = $1 and id = cast(cast($2 as text) as bigint) and created_at < $3"
                ),
                export: Some(Export {
                    select: sql!(
                        "select id as k, email as f1, name as f2, role as f3, language as f4, status as f5 from users \
                         where tenant_id = $1 and id = cast(cast($2 as text) as bigint) and id > $3 order by id limit $4"
                    ),
                    fields: &["email", "name", "role", "language", "status"],
                    given: true,
                }),
                erase: Erasure::Sql(sql!(
                    "update users set email = 'erased ' || cast(id as text), email_folded = 'erased ' || cast(id as text), \
                     name = 'erased', password_hash = null, status = 'disabled' where tenant_id = $1 and id in (select id \
                     from users where tenant_id = $1 and id = cast(cast($2 as text) as bigint) and created_at < $3 and name <> 'erased' limit $4)"
                )),
                names: None,
            },
            Way {
                by: By::Mail,
                count: sql!(
                    "select count(*) as n from users where tenant_id = $1 and email_folded = $2 and created_at < $3"
                ),
                export: Some(Export {
                    select: sql!(
                        "select id as k, email as f1, name as f2, role as f3, language as f4 from users \
                         where tenant_id = $1 and email_folded = $2 and id > $3 order by id limit $4"
                    ),
                    fields: &["email", "name", "role", "language"],
                    given: true,
                }),
                erase: Erasure::Keep(
                    "the address is the sign-in of a user: ask for the erasure of that user by their id",
                ),
                names: None,
            },
        ],
    },
    Personal {
        table: "sign_in_link",
        title: "One-time sign-in links",
        subjects: USERS,
        purpose: WORK,
        basis: Basis::Contract,
        kept: Kept::Until("until they are used or over"),
        columns: "mailed_to",
        others: "token_hash tenant_id user_id expires_at",
        ways: &[gone(
            sql!(
                "select count(*) as n from sign_in_link where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0"
            ),
            sql!(
                "delete from sign_in_link where tenant_id = $1 and token_hash in (select token_hash from sign_in_link \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0 limit $4)"
            ),
            None,
        )],
    },
    Personal {
        table: "session",
        title: "Signed-in browsers",
        subjects: USERS,
        purpose: WORK,
        basis: Basis::Contract,
        kept: Kept::For(&["session"]),
        columns: "from_address user_agent",
        others: "id tenant_id user_id token_hash created_at last_seen_at expires_at proven_at",
        ways: &[gone(
            sql!(
                "select count(*) as n from session where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0"
            ),
            sql!(
                "delete from session where tenant_id = $1 and id in (select id from session \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0 limit $4)"
            ),
            Some(Export {
                select: sql!(
                    "select id as k, from_address as f1, user_agent as f2 from session \
                     where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and id > $3 order by id limit $4"
                ),
                fields: &["from", "browser"],
                given: false,
            }),
        )],
    },
    Personal {
        table: "registration",
        title: "Newcomers who are no users yet",
        subjects: "people who register by themselves",
        purpose: WORK,
        basis: Basis::Contract,
        kept: Kept::Until(
            "until they are users or refused, `security.link_ttl_m` before they have shown their address, 90 days after",
        ),
        columns: "email email_folded name password_hash from_address",
        others: "id tenant_id language token_hash created_at verified_at expires_at",
        ways: &[Way {
            by: By::Mail,
            count: sql!(
                "select count(*) as n from registration where tenant_id = $1 and email_folded = $2 and created_at < $3"
            ),
            export: Some(Export {
                select: sql!(
                    "select id as k, email as f1, name as f2, from_address as f3 from registration \
                     where tenant_id = $1 and email_folded = $2 and id > $3 order by id limit $4"
                ),
                fields: &["email", "name", "from"],
                given: true,
            }),
            erase: Erasure::Sql(sql!(
                "delete from registration where tenant_id = $1 and id in (select id from registration \
                 where tenant_id = $1 and email_folded = $2 and created_at < $3 limit $4)"
            )),
            names: None,
        }],
    },
    Personal {
        table: "password_history",
        title: "Hashes of former passwords",
        subjects: USERS,
        purpose: WORK,
        basis: Basis::Contract,
        kept: Kept::Until(UNTIL_ERASED),
        columns: "password_hash",
        others: "id tenant_id user_id",
        ways: &[gone(
            sql!(
                "select count(*) as n from password_history where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0"
            ),
            sql!(
                "delete from password_history where tenant_id = $1 and id in (select id from password_history \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0 limit $4)"
            ),
            None,
        )],
    },
    Personal {
        table: "totp",
        title: "Authenticators",
        subjects: USERS,
        purpose: WORK,
        basis: Basis::Contract,
        kept: Kept::Until(UNTIL_ERASED),
        columns: "secret_sealed",
        others: "user_id tenant_id created_at confirmed_at last_step last_used_at",
        ways: &[gone(
            sql!(
                "select count(*) as n from totp where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0"
            ),
            sql!(
                "delete from totp where tenant_id = $1 and user_id in (select user_id from totp \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0 limit $4)"
            ),
            None,
        )],
    },
    Personal {
        table: "passkey",
        title: "Passkeys",
        subjects: USERS,
        purpose: WORK,
        basis: Basis::Contract,
        kept: Kept::Until(UNTIL_ERASED),
        columns: "name credential_id credential",
        others: "id tenant_id user_id created_at last_used_at",
        ways: &[gone(
            sql!(
                "select count(*) as n from passkey where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0"
            ),
            sql!(
                "delete from passkey where tenant_id = $1 and id in (select id from passkey \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0 limit $4)"
            ),
            Some(Export {
                select: sql!(
                    "select id as k, name as f1 from passkey \
                     where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and id > $3 order by id limit $4"
                ),
                fields: &["name"],
                given: false,
            }),
        )],
    },
    phones::OF_USERS,
    phones::CODES,
    Personal {
        table: "device",
        title: "Browsers that a user has signed in with",
        subjects: USERS,
        purpose: WORK,
        basis: Basis::Contract,
        kept: Kept::For(&["device"]),
        columns: "from_address user_agent",
        others: "id tenant_id user_id token_hash created_at last_seen_at trusted_until",
        ways: &[gone(
            sql!(
                "select count(*) as n from device where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0"
            ),
            sql!(
                "delete from device where tenant_id = $1 and id in (select id from device \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0 limit $4)"
            ),
            Some(Export {
                select: sql!(
                    "select id as k, from_address as f1, user_agent as f2 from device \
                     where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and id > $3 order by id limit $4"
                ),
                fields: &["from", "browser"],
                given: false,
            }),
        )],
    },
    Personal {
        table: "mailed_token",
        title: "What was mailed and can be used once",
        subjects: USERS,
        purpose: WORK,
        basis: Basis::Contract,
        kept: Kept::Until("until it is used or over"),
        columns: "email_folded",
        others: "token_hash tenant_id user_id purpose expires_at",
        ways: &[gone(
            sql!(
                "select count(*) as n from mailed_token where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0"
            ),
            sql!(
                "delete from mailed_token where tenant_id = $1 and token_hash in (select token_hash from mailed_token \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0 limit $4)"
            ),
            None,
        )],
    },
    Personal {
        table: "security_entry",
        title: "Users' security history",
        subjects: USERS,
        purpose: WORK,
        basis: Basis::LegitimateInterest,
        kept: Kept::For(&["sign_in"]),
        columns: "detail from_address user_agent",
        others: "id tenant_id user_id at kind done_by",
        ways: &[gone(
            sql!(
                "select count(*) as n from security_entry where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and at < $3"
            ),
            sql!(
                "delete from security_entry where tenant_id = $1 and id in (select id from security_entry \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and at < $3 limit $4)"
            ),
            Some(Export {
                select: sql!(
                    "select id as k, kind as f1, detail as f2, from_address as f3, user_agent as f4 from security_entry \
                     where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and id > $3 order by id limit $4"
                ),
                fields: &["what", "detail", "from", "browser"],
                given: false,
            }),
        )],
    },
    Personal {
        table: "user_identity",
        title: "Who users are at the services they sign in with",
        subjects: USERS,
        purpose: WORK,
        basis: Basis::Contract,
        kept: Kept::Until(UNTIL_ERASED),
        columns: "subject",
        others: "provider_id tenant_id user_id linked_at",
        ways: &[gone(
            sql!(
                "select count(*) as n from user_identity where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and linked_at < $3"
            ),
            sql!(
                "delete from user_identity where tenant_id = $1 and (provider_id, subject) in (select provider_id, subject from user_identity \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and linked_at < $3 limit $4)"
            ),
            Some(Export {
                select: sql!(
                    "select provider_id as k, subject as f1 from user_identity \
                     where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and provider_id > $3 order by provider_id limit $4"
                ),
                fields: &["subject"],
                given: false,
            }),
        )],
    },
    Personal {
        table: "directory_person",
        title: "Which entries of directories users are",
        subjects: USERS,
        purpose: WORK,
        basis: Basis::Contract,
        kept: Kept::Until(UNTIL_ERASED),
        columns: "entry dn",
        others: "directory_id tenant_id user_id tied_at left_at",
        ways: &[gone(
            sql!(
                "select count(*) as n from directory_person where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and tied_at < $3"
            ),
            sql!(
                "delete from directory_person where tenant_id = $1 and (directory_id, entry) in (select directory_id, entry from directory_person \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and tied_at < $3 limit $4)"
            ),
            Some(Export {
                select: sql!(
                    "select directory_id as k, dn as f1 from directory_person \
                     where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and directory_id > $3 order by directory_id limit $4"
                ),
                fields: &["dn"],
                given: false,
            }),
        )],
    },
    Personal {
        table: "directory_run",
        title: "What readings of directories have changed, or would change",
        subjects: "people of a directory who become users",
        purpose: "seeing what a reading does",
        basis: Basis::LegitimateInterest,
        kept: Kept::Until("the last 50 readings of each directory"),
        columns: "outcome",
        others: "id tenant_id directory_id dry state asked_by leavers_max started_at ended_at entries job_id",
        ways: &[Way {
            by: By::Mail,
            count: sql!(
                "select count(*) as n from directory_run where tenant_id = $1 and started_at < $3 \
                 and lower(outcome) like '%' || cast($2 as text) || '%'"
            ),
            export: None,
            erase: Erasure::Sql(sql!(
                "update directory_run set outcome = '{}' where tenant_id = $1 and id in (select id from directory_run \
                 where tenant_id = $1 and started_at < $3 and lower(outcome) like '%' || cast($2 as text) || '%' limit $4)"
            )),
            names: None,
        }],
    },
    Personal {
        table: "oauth_grant",
        title: "What users let applications do",
        subjects: USERS,
        purpose: WORK,
        basis: Basis::Contract,
        kept: Kept::Until("until the consent and its tokens are over"),
        columns: "from_address user_agent",
        others: "id tenant_id client_id user_id scopes created_at expires_at ended_at ended_by last_used_at",
        ways: &[gone(
            sql!(
                "select count(*) as n from oauth_grant where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and created_at < $3 \
                 and (from_address is not null or user_agent is not null)"
            ),
            sql!(
                "update oauth_grant set from_address = null, user_agent = null where tenant_id = $1 and id in (select id from oauth_grant \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and created_at < $3 \
                 and (from_address is not null or user_agent is not null) limit $4)"
            ),
            Some(Export {
                select: sql!(
                    "select id as k, scopes as f1, from_address as f2, user_agent as f3 from oauth_grant \
                     where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and id > $3 order by id limit $4"
                ),
                fields: &["scopes", "from", "browser"],
                given: false,
            }),
        )],
    },
    // What follows names users by the number of their id alone, which leads to nobody once their row is overwritten.
    Personal::none(
        "tenant",
        "id name slug locale time_zone currency support_email accent logo status erase_at data_key created_at \
         platform parent reseller suspended_by",
    ),
    Personal::none("installation", "number id made_at"),
    Personal::none("tenant_logo", "tenant_id sha256 media_type octets changed_at"),
    Personal::none("domain", "id tenant_id host token created_at checked_at problem proved_at"),
    Personal::none(
        "erasure",
        "id tenant name_sha256 asked_by asked_at erase_at called_off_at began_at counts erased_at rewritten_at body signature public_key",
    ),
    Personal::none(
        "suitcase",
        "id tenant direction state asked_by asked_at switched public_key key_wrapped rows_done at_table bytes bytes_total manifest problem \
         ended_at file_until",
    ),
    Personal::none(
        "api_key",
        "id tenant_id name secret_hash shown scopes owner_id created_by created_at expires_at revoked_at last_used_at kind networks \
         rate_per_second rate_burst rotated_at last_used_from last_used_agent former_hash former_shown former_until former_used_at",
    ),
    Personal::none(
        "oauth_client",
        "id tenant_id name kind scopes redirect_uris networks owner_id secret_hash shown rotated_at former_hash former_shown \
         former_until former_used_at created_by created_at last_used_at last_used_from last_used_agent",
    ),
    Personal::none(
        "oauth_code",
        "code_hash tenant_id grant_id client_id redirect_uri challenge expires_at spent_at",
    ),
    Personal::none("refresh_token", "token_hash tenant_id grant_id created_at expires_at spent_at"),
    Personal::none("revoked_token", "token_id tenant_id expires_at"),
    Personal::none("signing_key", "id created_at signs_from public_key data_key private_key"),
    Personal::none(
        "identity_provider",
        "id tenant_id name active issuer client_id secret_sealed settings revision created_at changed_at",
    ),
    Personal::none("identity_domain", "domain tenant_id provider_id"),
    Personal::none(
        "directory",
        "id tenant_id name active bind_password_sealed settings revision read_next_at created_at changed_at",
    ),
    Personal::none("directory_domain", "domain tenant_id directory_id"),
    Personal::none("backup_code", "code_hash tenant_id user_id created_at"),
    Personal::none(
        "pending_sign_in",
        "token_hash tenant_id user_id first_step back enrol created_at expires_at tries mail_code_hash mail_code_until mail_codes \
         sms_code_hash sms_code_until sms_codes",
    ),
    Personal::none("failed_sign_in", "user_id step tenant_id failures last_at"),
    Personal::none(
        "sign_in_policy",
        "tenant_id second_factor_roles mail_codes changed_at impersonation_mails sms_codes sms_alone sms_sender sms_prefixes sms_hour_max",
    ),
    Personal::none("registration_policy", "tenant_id open domains role approval changed_at"),
    Personal::none(
        "impersonation",
        "id tenant_id user_id by_user session_id reason started_at ends_at ended_at ended_by",
    ),
    Personal::none(
        "audit_chain",
        "tenant_id event_seq number hash first checkpoint checkpoint_number checkpoint_at public_key signing_key_sealed",
    ),
    Personal::none("audit_checkpoint", "tenant_id checkpoint number at body signature"),
    Personal::none(
        "access_role",
        "tenant_id name title about parent permissions revision created_at changed_at",
    ),
    Personal::none(
        "access_grant",
        "id tenant_id user_id role permissions reason created_by created_at ends_at ended_at ended_by",
    ),
    Personal::none("team", "id tenant_id name about created_at"),
    Personal::none("team_member", "tenant_id team_id user_id"),
    Personal::none("security_watch", "tenant_id event_seq"),
    Personal::none(
        "alert_rule",
        "id tenant_id name active platform kinds severity people url secret_sealed revision created_at changed_at",
    ),
    Personal::none("value_list", "tenant_id name titles items system revision changed_at"),
    Personal::none("review", "id tenant_id quarter opened_at opened_by closed_at closed_by"),
    Personal::none("former_data_key", "tenant_id key_id wrapped retired_at"),
];
