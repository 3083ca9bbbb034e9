-- Consents and their withdrawal. Rows are added and never changed.
create table consent (
    id bigint primary key,
    tenant_id bigint not null,
    person_id bigint not null,
    at bigint not null,
    purpose text not null,
    channel text not null,
    given boolean not null,
    source text not null,
    actor text not null,
    -- The identifier, the text that was shown and the network address, as JSON, locked by the person's key.
    evidence_locked text not null
);

create index consent_tenant on consent (tenant_id, id);
create index consent_person on consent (tenant_id, person_id, id);

-- Breaches of personal data.
create table breach (
    id bigint primary key,
    tenant_id bigint not null,
    title text not null,
    about text not null,
    discovered_at bigint not null,
    -- Until when the authority must hear of it.
    due_at bigint not null,
    authority_told_at bigint,
    persons_told_at bigint,
    closed_at bigint,
    persons bigint,
    revision bigint not null
);

create index breach_tenant on breach (tenant_id, id);

create table breach_step (
    id bigint primary key,
    tenant_id bigint not null,
    breach_id bigint not null,
    at bigint not null,
    actor text not null,
    step text not null,
    note text not null
);

create index breach_step_breach on breach_step (tenant_id, breach_id, id);

-- Reading messages said what they say and to whom; a key or a role that could do so can do so still.
update api_key set scopes = replace(scopes, '"message.view"', '"message.view","identifier.view","content.view"');
update api_key set scopes = replace(scopes, '"conversation.view"', '"conversation.view","identifier.view","content.view"') where scopes not like '%"identifier.view"%';
update api_key set scopes = replace(scopes, '"dead_letter.export"', '"dead_letter.export","identifier.view","content.view"') where scopes not like '%"identifier.view"%';
update api_key set scopes = replace(scopes, '"opt_out.view"', '"opt_out.view","identifier.view"') where scopes not like '%"identifier.view"%';
update api_key set scopes = replace(scopes, '"opt_out.export"', '"opt_out.export","identifier.view"') where scopes not like '%"identifier.view"%';
update api_key set scopes = replace(scopes, '"refusal.view"', '"refusal.view","identifier.view"') where scopes not like '%"identifier.view"%';
update access_role set permissions = replace(permissions, '"message.view":', '"identifier.view":"all","content.view":"all","message.view":');
