-- Senders that a tenant has registered.
create table sender (
    id bigint primary key,
    tenant_id bigint not null,
    -- as phones show it, and folded, as it is compared
    name text not null,
    folded text not null,
    -- registrations by country, as JSON: see SenderRecord
    record text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);
create unique index sender_name on sender (tenant_id, folded);

-- Senders that stand in for each other.
create table sender_pool (
    id bigint primary key,
    tenant_id bigint not null,
    name text not null,
    -- members and how one is chosen, as JSON: see PoolRule
    rule text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);
create unique index sender_pool_name on sender_pool (tenant_id, name);

-- Who may send as whom.
create table sender_policy (
    tenant_id bigint not null,
    -- an SMPP account; 0 for the API, -1 for whoever has no policy of its own
    account_id bigint not null,
    -- as JSON: see SenderPolicy
    policy text not null,
    changed_at bigint not null,
    primary key (tenant_id, account_id)
);

-- What is let through from nobody, or to nobody.
create table blacklist (
    id bigint primary key,
    tenant_id bigint not null,
    -- 'number', 'prefix', 'ip', 'sender', 'key' or 'content'
    kind text not null,
    -- in its normal form
    value text not null,
    reason text not null,
    source text not null,
    expires_at bigint,
    created_at bigint not null
);
create unique index blacklist_value on blacklist (tenant_id, kind, value);
create index blacklist_tenant on blacklist (tenant_id, id);

create table firewall_rule (
    id bigint primary key,
    tenant_id bigint not null,
    name text not null,
    priority bigint not null,
    active boolean not null,
    -- condition, scope and action, as JSON: see FirewallRule
    rule text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);
create unique index firewall_rule_name on firewall_rule (tenant_id, name);

create table hours (
    id bigint primary key,
    tenant_id bigint not null,
    name text not null,
    active boolean not null,
    -- windows, holidays, rate and scope, as JSON: see HoursRule
    rule text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);
create unique index hours_name on hours (tenant_id, name);

-- Messages that were not accepted.
create table refusal (
    id bigint primary key,
    tenant_id bigint not null,
    at bigint not null,
    account_id bigint,
    key_id bigint,
    sender text not null,
    recipient text not null,
    code text not null,
    -- the rule's id and what people call it, where a rule decided
    rule_id bigint,
    rule text not null,
    reason text not null,
    -- the message's text, only where the configuration says so
    text text
);
create index refusal_tenant on refusal (tenant_id, id);

-- What rules did, by hour.
create table gate_tally (
    tenant_id bigint not null,
    hour bigint not null,
    -- 0 where no rule decided
    rule_id bigint not null,
    -- a code, or 'held', 'marked', 'counted', 'postponed'
    outcome text not null,
    n bigint not null,
    primary key (tenant_id, hour, rule_id, outcome)
);

-- Held messages wait as scheduled ones do.
create index message_scheduled on message (tenant_id, id) where state = 'scheduled';
