-- Reviews of who may do what, as it stood when each was opened.
create table review (
    id bigint primary key,
    tenant_id bigint not null references tenant (id),
    -- such as 2026-Q4
    quarter text not null,
    opened_at bigint not null,
    opened_by text not null,
    closed_at bigint,
    closed_by text
);

create index review_tenant on review (tenant_id, id);
create index review_quarter on review (tenant_id, quarter);

-- One line for each user, key and temporary grant.
create table review_line (
    tenant_id bigint not null,
    review_id bigint not null references review (id),
    number bigint not null,
    -- user, key, grant
    kind text not null,
    subject text not null,
    name text not null,
    held text not null,
    since bigint not null,
    last_used_at bigint,
    ends_at bigint,
    -- a JSON array of what speaks for a second look
    remarks text not null,
    -- keep, revoke; null until somebody decides
    decision text,
    note text,
    decided_by text,
    decided_at bigint,
    primary key (review_id, number)
);

create index review_line_tenant on review_line (tenant_id, review_id, number);
