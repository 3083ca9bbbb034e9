-- A tenant's records: how they are written, and how far they have come. What stands here is what closed files hold.
create table cdr_stream (
    tenant_id bigint primary key,
    active boolean not null,
    -- format, compression, where files are uploaded, as JSON: see CdrSettings
    settings text not null,
    revision bigint not null,
    changed_at bigint not null,
    -- the last event, the last row and the last file of what is closed
    event_seq bigint not null,
    row_seq bigint not null,
    file_number bigint not null,
    -- when the last event was written that is in a closed file, or was passed over
    event_at bigint not null,
    -- whether it was switched off and all that came before is closed
    parked boolean not null
);

-- A closed file, for ever: also when its content is gone, its numbers are known.
create table cdr_file (
    id bigint primary key,
    tenant_id bigint not null,
    -- 1, 2, 3 … for each tenant
    number bigint not null,
    name text not null,
    format text not null,
    compression text not null,
    first_seq bigint not null,
    last_seq bigint not null,
    row_count bigint not null,
    -- the last event that it holds
    event_seq bigint not null,
    -- events that were forgotten before they could be written
    lost bigint not null,
    bytes bigint not null,
    sha256 text not null,
    -- rows by state, as JSON
    states text not null,
    -- 'closed', 'archived' or 'removed'
    state text not null,
    reason text not null,
    opened_at bigint not null,
    closed_at bigint not null,
    uploaded_at bigint
);
create unique index cdr_file_number on cdr_file (tenant_id, number);
create index cdr_file_age on cdr_file (closed_at) where state <> 'removed';
