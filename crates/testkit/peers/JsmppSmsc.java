// jSMPP as a carrier. Arguments and output: README.md.

import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Date;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

import org.jsmpp.SMPPConstant;
import org.jsmpp.bean.*;
import org.jsmpp.extra.ProcessRequestException;
import org.jsmpp.extra.SessionState;
import org.jsmpp.session.*;
import org.jsmpp.util.DeliveryReceiptState;
import org.jsmpp.util.MessageId;

class JsmppSmsc implements ServerMessageReceiverListener {
    static final int ERRORS_MAX = 20;
    static final int RECEIPT_THREADS = 16;

    static final AtomicInteger binds = new AtomicInteger();
    static final AtomicInteger unbinds = new AtomicInteger();
    static final AtomicInteger submits = new AtomicInteger();
    static final AtomicInteger receipts = new AtomicInteger();
    static final Set<String> texts = ConcurrentHashMap.newKeySet();
    static final List<String> errors = Collections.synchronizedList(new ArrayList<>());
    static final ExecutorService reporters = Executors.newFixedThreadPool(RECEIPT_THREADS);

    static void fail(String text) {
        if (errors.size() < ERRORS_MAX) errors.add(text);
    }

    public SubmitSmResult onAcceptSubmitSm(SubmitSm pdu, SMPPServerSession session) throws ProcessRequestException {
        String id = String.format("%08x", 0x10000000 + submits.incrementAndGet());
        texts.add(pdu.getDestAddress() + " " + new String(pdu.getShortMessage()));
        if ((pdu.getRegisteredDelivery() & 1) != 0) reporters.execute(() -> report(session, pdu, id));
        try {
            return new SubmitSmResult(new MessageId(id), new OptionalParameter[0]);
        } catch (Exception error) {
            throw new ProcessRequestException(error.toString(), SMPPConstant.STAT_ESME_RSYSERR);
        }
    }

    static void report(SMPPServerSession session, SubmitSm pdu, String id) {
        DeliveryReceipt receipt = new DeliveryReceipt(id, 1, 1, new Date(), new Date(), DeliveryReceiptState.DELIVRD,
            "000", new String(pdu.getShortMessage()));
        try {
            session.deliverShortMessage("",
                TypeOfNumber.valueOf(pdu.getDestAddrTon()), NumberingPlanIndicator.valueOf(pdu.getDestAddrNpi()),
                pdu.getDestAddress(),
                TypeOfNumber.valueOf(pdu.getSourceAddrTon()), NumberingPlanIndicator.valueOf(pdu.getSourceAddrNpi()),
                pdu.getSourceAddr(),
                new ESMClass(MessageMode.DEFAULT, MessageType.SMSC_DEL_RECEIPT, GSMSpecificFeature.DEFAULT),
                (byte) 0, (byte) 0, new RegisteredDelivery(0), DataCodings.ZERO, receipt.toString().getBytes());
            receipts.incrementAndGet();
        } catch (Exception error) {
            fail("deliver_sm: " + error);
        }
    }

    static ProcessRequestException unexpected(String what) {
        fail(what);
        return new ProcessRequestException(what, SMPPConstant.STAT_ESME_RINVCMDID);
    }

    public SubmitMultiResult onAcceptSubmitMulti(SubmitMulti pdu, SMPPServerSession s) throws ProcessRequestException {
        throw unexpected("submit_multi");
    }

    public QuerySmResult onAcceptQuerySm(QuerySm pdu, SMPPServerSession s) throws ProcessRequestException {
        throw unexpected("query_sm");
    }

    public void onAcceptReplaceSm(ReplaceSm pdu, SMPPServerSession s) throws ProcessRequestException {
        throw unexpected("replace_sm");
    }

    public void onAcceptCancelSm(CancelSm pdu, SMPPServerSession s) throws ProcessRequestException {
        throw unexpected("cancel_sm");
    }

    public BroadcastSmResult onAcceptBroadcastSm(BroadcastSm pdu, SMPPServerSession s) throws ProcessRequestException {
        throw unexpected("broadcast_sm");
    }

    public void onAcceptCancelBroadcastSm(CancelBroadcastSm pdu, SMPPServerSession s) throws ProcessRequestException {
        throw unexpected("cancel_broadcast_sm");
    }

    public QueryBroadcastSmResult onAcceptQueryBroadcastSm(QueryBroadcastSm pdu, SMPPServerSession s)
            throws ProcessRequestException {
        throw unexpected("query_broadcast_sm");
    }

    public DataSmResult onAcceptDataSm(DataSm pdu, Session s) throws ProcessRequestException {
        throw unexpected("data_sm");
    }

    static void serve(SMPPServerSession session, String systemId, String password) {
        session.addSessionStateListener((now, before, source) -> {
            if (now == SessionState.UNBOUND && before.isBound()) unbinds.incrementAndGet();
        });
        try {
            BindRequest bind = session.waitForBind(10_000);
            if (bind.getSystemId().equals(systemId) && bind.getPassword().equals(password)) {
                binds.incrementAndGet();
                bind.accept("jsmpp", InterfaceVersion.IF_34);
            } else {
                bind.reject(SMPPConstant.STAT_ESME_RBINDFAIL);
            }
        } catch (Exception error) {
            fail("bind: " + error);
        }
    }

    public static void main(String[] args) throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        SMPPServerSessionListener listener = new SMPPServerSessionListener(port);
        listener.setMessageReceiverListener(new JsmppSmsc());
        Thread acceptor = new Thread(() -> {
            while (true) {
                try {
                    SMPPServerSession session = listener.accept();
                    new Thread(() -> serve(session, args[0], args[1])).start();
                } catch (java.net.SocketTimeoutException nobody) {
                    // It listens on.
                } catch (Exception error) {
                    return;
                }
            }
        });
        acceptor.setDaemon(true);
        acceptor.start();
        System.out.printf("{\"listening\": \"127.0.0.1:%d\"}%n", port);
        System.out.flush();
        while (System.in.read() >= 0) { }
        StringBuilder list = new StringBuilder();
        for (String error : errors) {
            String plain = error.replace('"', '\'').replace('\\', '/').replaceAll("\\p{Cntrl}", " ");
            list.append(list.length() == 0 ? "" : ", ").append('"').append(plain).append('"');
        }
        System.out.printf(Locale.ROOT,
            "{\"binds\": %d, \"unbinds\": %d, \"submits\": %d, \"messages\": %d, \"receipts\": %d, \"errors\": [%s]}%n",
            binds.get(), unbinds.get(), submits.get(), texts.size(), receipts.get(), list);
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
