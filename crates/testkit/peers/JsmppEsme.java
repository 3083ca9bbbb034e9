// jSMPP as a customer. Arguments and output: README.md.

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.jsmpp.bean.*;
import org.jsmpp.extra.ProcessRequestException;
import org.jsmpp.session.BindParameter;
import org.jsmpp.session.DataSmResult;
import org.jsmpp.session.MessageReceiverListener;
import org.jsmpp.session.SMPPSession;
import org.jsmpp.session.Session;
import org.jsmpp.util.DeliveryReceiptState;

class JsmppEsme {
    static final long IDLE_LIMIT_MS = 30_000;
    static final int ERRORS_MAX = 20;

    static final Set<String> accepted = ConcurrentHashMap.newKeySet();
    static final Map<String, AtomicInteger> received = new ConcurrentHashMap<>();
    static final List<String> errors = Collections.synchronizedList(new ArrayList<>());
    static volatile long moved = System.nanoTime();

    static void fail(String text) {
        if (errors.size() < ERRORS_MAX) errors.add(text);
    }

    /** Takes what the message centre delivers. */
    static class Receiver implements MessageReceiverListener {
        public void onAcceptDeliverSm(DeliverSm pdu) {
            moved = System.nanoTime();
            if (!MessageType.SMSC_DEL_RECEIPT.containedIn(pdu.getEsmClass())) {
                fail("deliver_sm that is no receipt: " + new String(pdu.getShortMessage()));
                return;
            }
            try {
                DeliveryReceipt receipt = pdu.getShortMessageAsDeliveryReceipt();
                DeliveryReceiptState state = receipt.getFinalStatus();
                if (state != DeliveryReceiptState.ENROUTE && state != DeliveryReceiptState.ACCEPTD) {
                    received.computeIfAbsent(receipt.getId(), id -> new AtomicInteger()).incrementAndGet();
                }
            } catch (Exception error) {
                fail("a receipt that cannot be read: " + error);
            }
        }

        public void onAcceptAlertNotification(AlertNotification alert) {
            fail("an alert_notification");
        }

        public DataSmResult onAcceptDataSm(DataSm pdu, Session source) throws ProcessRequestException {
            throw new ProcessRequestException("no data_sm is expected", 3);
        }
    }

    static void submit(SMPPSession session, int number) {
        byte[] text = ("ID" + number + " from jSMPP").getBytes();
        try {
            String id = session.submitShortMessage("",
                TypeOfNumber.ALPHANUMERIC, NumberingPlanIndicator.UNKNOWN, "jsmpp",
                TypeOfNumber.INTERNATIONAL, NumberingPlanIndicator.ISDN, String.valueOf(4915100000000L + number),
                new ESMClass(), (byte) 0, (byte) 0, null, null,
                new RegisteredDelivery(SMSCDeliveryReceipt.SUCCESS_FAILURE), (byte) 0, DataCodings.ZERO, (byte) 0, text
            ).getMessageId();
            if (!accepted.add(id)) fail("message id " + id + " given twice");
        } catch (Exception error) {
            fail("submit_sm: " + error);
        }
        moved = System.nanoTime();
    }

    static long reported() {
        return accepted.stream().filter(received::containsKey).count();
    }

    static int drive(String host, int port, String systemId, String password, int count, int window, int first)
            throws Exception {
        SMPPSession session = new SMPPSession();
        session.setMessageReceiverListener(new Receiver());
        session.setTransactionTimer(IDLE_LIMIT_MS);
        try {
            session.connectAndBind(host, port, new BindParameter(BindType.BIND_TRX, systemId, password, "",
                TypeOfNumber.UNKNOWN, NumberingPlanIndicator.UNKNOWN, null));
        } catch (Exception error) {
            fail("bind: " + error);
            return 0;
        }
        // A submit waits for its answer, so as many threads as the window has places.
        AtomicInteger next = new AtomicInteger();
        CountDownLatch senders = new CountDownLatch(window);
        ExecutorService threads = Executors.newFixedThreadPool(window);
        for (int i = 0; i < window; i++) {
            threads.execute(() -> {
                for (int n = next.getAndIncrement(); n < count; n = next.getAndIncrement()) submit(session, first + n);
                senders.countDown();
            });
        }
        senders.await();
        threads.shutdown();
        while (reported() < accepted.size()) {
            Thread.sleep(20);
            if (System.nanoTime() - moved > TimeUnit.MILLISECONDS.toNanos(IDLE_LIMIT_MS)) {
                fail("nothing came for " + IDLE_LIMIT_MS + " ms");
                break;
            }
        }
        session.unbindAndClose();
        return count;
    }

    public static void main(String[] args) throws Exception {
        Thread watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (Exception ignored) {
                // It ends either way.
            }
            Runtime.getRuntime().halt(1);
        });
        watch.setDaemon(true);
        watch.start();
        long begun = System.nanoTime();
        int sent = drive(args[0], Integer.parseInt(args[1]), args[2], args[3], Integer.parseInt(args[4]),
            Integer.parseInt(args[5]), Integer.parseInt(args[6]));
        Set<String> unknown = new HashSet<>(received.keySet());
        unknown.removeAll(accepted);
        unknown.forEach(id -> fail("receipt for unknown id " + id));
        int duplicates = received.values().stream().mapToInt(times -> times.get() - 1).sum();
        StringBuilder list = new StringBuilder();
        for (String error : errors) {
            String plain = error.replace('"', '\'').replace('\\', '/').replaceAll("\\p{Cntrl}", " ");
            list.append(list.length() == 0 ? "" : ", ").append('"').append(plain).append('"');
        }
        System.out.printf(java.util.Locale.ROOT,
            "{\"sent\": %d, \"accepted\": %d, \"receipts\": %d, \"duplicates\": %d, \"errors\": [%s], \"seconds\": %.3f}%n",
            sent, accepted.size(), reported(), duplicates, list, (System.nanoTime() - begun) / 1e9);
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
