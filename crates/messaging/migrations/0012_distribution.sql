-- Recipients under one name, for submit_multi.
create table distribution_list (
    id bigint primary key,
    tenant_id bigint not null,
    -- as dl_name has it
    name text not null,
    -- recipients and the accounts that may use it, as JSON: see ListRule
    rule text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);
create unique index distribution_list_name on distribution_list (tenant_id, name);
