//! Phones that codes to sign in go to: found by their user, and by the number.

use db::sql;
use runtime::personal::{Basis, By, Erasure, Export, Kept, Personal, Way};

use super::{UNTIL_ERASED, USERS, WORK, gone};

/// The phones.
pub(super) const OF_USERS: Personal = Personal {
    table: "user_phone",
    title: "Phones that codes to sign in go to",
    subjects: USERS,
    purpose: WORK,
    basis: Basis::Contract,
    kept: Kept::Until(UNTIL_ERASED),
    columns: "phone wanted",
    others: "user_id tenant_id confirmed_at last_used_at wanted_hash wanted_until wanted_tries created_at",
    ways: &[
        gone(
            sql!(
                "select count(*) as n from user_phone where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0"
            ),
            sql!(
                "delete from user_phone where tenant_id = $1 and user_id in (select user_id from user_phone \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and cast($3 as bigint) > 0 limit $4)"
            ),
            Some(Export {
                select: sql!(
                    "select user_id as k, coalesce(phone, wanted) as f1 from user_phone \
                     where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and user_id > $3 order by user_id limit $4"
                ),
                fields: &["phone"],
                given: true,
            }),
        ),
        Way {
            by: By::Phone,
            count: sql!(
                "select count(*) as n from user_phone where tenant_id = $1 and (phone = $2 or wanted = $2) and created_at < $3"
            ),
            export: Some(Export {
                select: sql!(
                    "select user_id as k, coalesce(phone, wanted) as f1 from user_phone \
                     where tenant_id = $1 and (phone = $2 or wanted = $2) and user_id > $3 order by user_id limit $4"
                ),
                fields: &["phone"],
                given: true,
            }),
            erase: Erasure::Sql(sql!(
                "delete from user_phone where tenant_id = $1 and user_id in (select user_id from user_phone \
                 where tenant_id = $1 and (phone = $2 or wanted = $2) and created_at < $3 limit $4)"
            )),
            names: None,
        },
    ],
};

/// The codes that went there within the last hour.
pub(super) const CODES: Personal = Personal {
    table: "sms_code",
    title: "Codes to sign in that were sent to phones",
    subjects: USERS,
    purpose: "bounding how many are sent",
    basis: Basis::LegitimateInterest,
    kept: Kept::Until("for an hour"),
    columns: "phone",
    others: "id tenant_id user_id at",
    ways: &[
        gone(
            sql!(
                "select count(*) as n from sms_code where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and at < $3"
            ),
            sql!(
                "delete from sms_code where tenant_id = $1 and id in (select id from sms_code \
                 where tenant_id = $1 and user_id = cast(cast($2 as text) as bigint) and at < $3 limit $4)"
            ),
            None,
        ),
        Way {
            by: By::Phone,
            count: sql!("select count(*) as n from sms_code where tenant_id = $1 and phone = $2 and at < $3"),
            export: None,
            erase: Erasure::Sql(sql!(
                "delete from sms_code where tenant_id = $1 and id in (select id from sms_code \
                 where tenant_id = $1 and phone = $2 and at < $3 limit $4)"
            )),
            names: None,
        },
    ],
};
