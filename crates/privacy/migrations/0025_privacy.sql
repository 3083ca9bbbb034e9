-- What a tenant has settled about personal data.
create table privacy_tenant (
    tenant_id bigint primary key,
    -- The key of its blind indexes: HMAC-SHA-256 of phones and addresses.
    blind_key_sealed text not null,
    -- Times and the tenant's part of the processing register, as JSON: see Settings
    settings text not null,
    -- The row of the audit trail up to which opt-outs are in the consent ledger.
    ledger_number bigint not null,
    changed_at bigint not null
);

-- Persons about whom the tables of this file hold something. What they hold is locked by the person's own key.
create table person (
    id bigint primary key,
    tenant_id bigint not null,
    -- Null once the person is erased: what it has locked opens never again.
    key_sealed text,
    created_at bigint not null,
    erased_at bigint,
    restricted_at bigint,
    objected_at bigint,
    -- Why the law keeps what is about this person, while it does.
    hold_reason text,
    held_at bigint
);

create index person_tenant on person (tenant_id, id);

-- By which phones, addresses and users a person is found: blind indexes, never the identifier itself.
create table person_mark (
    tenant_id bigint not null,
    mark text not null,
    person_id bigint not null,
    primary key (tenant_id, mark)
);

create index person_mark_person on person_mark (tenant_id, person_id);

create table privacy_request (
    id bigint primary key,
    tenant_id bigint not null,
    person_id bigint not null,
    -- 'access', 'portability', 'rectification', 'erasure', 'restriction' or 'objection'
    kind text not null,
    -- 'open', 'working', 'done', 'refused' or 'withdrawn'
    state text not null,
    -- Identifiers and what the person says, as JSON, locked by the person's key.
    about_locked text not null,
    opened_at bigint not null,
    due_at bigint not null,
    -- When somebody noted how the person's identity was checked.
    checked_at bigint,
    extended_at bigint,
    started_at bigint,
    -- What carrying out waits for, in words.
    waits_for text,
    ended_at bigint,
    -- Until when the gathered file can be downloaded, and its size.
    file_until bigint,
    file_bytes bigint,
    -- What was erased, octet for octet as it was signed.
    certificate text,
    signature text,
    public_key text,
    revision bigint not null
);

create index privacy_request_tenant on privacy_request (tenant_id, id);
create index privacy_request_person on privacy_request (tenant_id, person_id);
create index privacy_request_file on privacy_request (file_until) where file_until is not null;

-- What was done about a request.
create table privacy_step (
    id bigint primary key,
    tenant_id bigint not null,
    request_id bigint not null,
    at bigint not null,
    actor text not null,
    step text not null,
    -- Locked by the person's key.
    note_locked text
);

create index privacy_step_request on privacy_step (tenant_id, request_id, id);

-- What was gathered about a person, in pieces, locked by their key.
create table privacy_file (
    request_id bigint not null,
    piece bigint not null,
    tenant_id bigint not null,
    body_locked text not null,
    primary key (request_id, piece)
);

-- Rows that an erasure has deleted or overwritten so far.
create table privacy_erased (
    tenant_id bigint not null,
    request_id bigint not null,
    table_name text not null,
    n bigint not null,
    primary key (tenant_id, request_id, table_name)
);

-- Persons who were erased: blind indexes alone, so that a restored backup can be cleaned of them.
create table tombstone (
    tenant_id bigint not null,
    mark text not null,
    erased_at bigint not null,
    -- Whether the person did not want marketing: erasing them must not bring it back.
    objected boolean not null,
    primary key (tenant_id, mark, erased_at)
);
