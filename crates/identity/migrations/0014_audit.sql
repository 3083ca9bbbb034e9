-- How far each tenant's audit trail is: what of the event stream it has taken in, its last row, its last checkpoint.
create table audit_chain (
    tenant_id bigint primary key,
    -- the place in the tenant's event stream up to which everything audited is in the trail
    event_seq bigint not null,
    -- the last row's number and hash
    number bigint not null,
    hash text not null,
    -- the first row that is kept
    first bigint not null,
    -- the last checkpoint: its own number, the row it stands behind, when it was signed
    checkpoint bigint not null,
    checkpoint_number bigint not null,
    checkpoint_at bigint not null,
    -- Ed25519, in base64url; the other half is sealed by the tenant's data key
    public_key text not null,
    signing_key_sealed text not null
);

-- The audit trail: the audited part of the event stream, each row bound to the one before by its hash.
create table audit_row (
    tenant_id bigint not null,
    -- 1, 2, 3 … without a gap
    number bigint not null,
    -- the event's number in the stream
    seq bigint not null,
    at bigint not null,
    actor text not null,
    request_id text,
    from_address text,
    kind text not null,
    subject text,
    -- the event's data as JSON, octet for octet as it was hashed
    data text not null,
    -- in lower case, what a search looks through
    folded text not null,
    previous text not null,
    hash text not null,
    primary key (tenant_id, number)
);

create index audit_row_kind on audit_row (tenant_id, kind, number);
create index audit_row_actor on audit_row (tenant_id, actor, number);
create index audit_row_subject on audit_row (tenant_id, subject, number);

-- Signed statements of what the trail's hash was at a row.
create table audit_checkpoint (
    tenant_id bigint not null,
    -- 1, 2, 3 … without a gap
    checkpoint bigint not null,
    number bigint not null,
    at bigint not null,
    -- what was signed, octet for octet
    body text not null,
    signature text not null,
    primary key (tenant_id, checkpoint)
);

create index audit_checkpoint_row on audit_checkpoint (tenant_id, number);
