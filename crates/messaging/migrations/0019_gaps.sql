-- What went over the wire for a message, where its connection keeps that.
create table pdu (
    id bigint primary key,
    tenant_id bigint not null,
    message_id bigint not null,
    part bigint not null,
    at bigint not null,
    -- 'submit': octets in hex; 'receipt': the receipt's text
    kind text not null,
    -- the connection's bind, from 1, and the microseconds from hand-over to answer; null where they are not known
    bind bigint,
    took_us bigint,
    content text not null
);
create index pdu_message on pdu (tenant_id, message_id);
