-- For how long a tenant keeps a class of its data; without a row, as the installation says.
create table retention_term (
    tenant_id bigint not null,
    class text not null,
    -- What the rows are for; empty: for all purposes that have no row of their own.
    purpose text not null,
    keep_h bigint not null,
    changed_at bigint not null,
    primary key (tenant_id, class, purpose)
);

-- How far what is kept no longer has gone: of the sweep that runs, or of the last one.
create table retention_sweep (
    tenant_id bigint not null,
    class text not null,
    purpose text not null,
    started_at bigint not null,
    -- What is from before this goes.
    before_at bigint not null,
    ended_at bigint,
    -- The row up to which it has come, and the one up to which nothing is left for the next.
    place bigint not null,
    floor bigint not null,
    gone bigint not null,
    held bigint not null,
    primary key (tenant_id, class, purpose)
);

-- Whom a legal hold keeps: asked before anything goes.
create index person_held on person (tenant_id, held_at) where held_at is not null;

-- Traces, files of records and the exported audit trail name persons in full; a key or a role that could read them can still.
update api_key set scopes = replace(scopes, '"audit.export"', '"audit.export","identifier.view"') where scopes not like '%"identifier.view"%';
update api_key set scopes = replace(scopes, '"cdr.download"', '"cdr.download","identifier.view"') where scopes not like '%"identifier.view"%';
update api_key set scopes = replace(scopes, '"trace.view"', '"trace.view","identifier.view"') where scopes not like '%"identifier.view"%';
update api_key set scopes = replace(scopes, '"trace.use"', '"trace.use","identifier.view"') where scopes not like '%"identifier.view"%';
update api_key set scopes = replace(scopes, '"trace.download"', '"trace.download","identifier.view"') where scopes not like '%"identifier.view"%';
update access_role set permissions = replace(permissions, '"audit.export":', '"identifier.view":"all","audit.export":') where permissions not like '%"identifier.view"%';
update access_role set permissions = replace(permissions, '"cdr.download":', '"identifier.view":"all","cdr.download":') where permissions not like '%"identifier.view"%';
update access_role set permissions = replace(permissions, '"trace.view":', '"identifier.view":"all","trace.view":') where permissions not like '%"identifier.view"%';
update access_role set permissions = replace(permissions, '"trace.use":', '"identifier.view":"all","trace.use":') where permissions not like '%"identifier.view"%';
update access_role set permissions = replace(permissions, '"trace.download":', '"identifier.view":"all","trace.download":') where permissions not like '%"identifier.view"%';
