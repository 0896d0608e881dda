import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/**
 * Loses races, one after the other, and says what Java showed of each.
 *
 * <p>Orders come on standard input, a line each: {@code STEP KEY}. The program reads KEY and
 * prepares the step, says {@code ready}, waits for the line {@code go}, does it, says what each
 * call came to ({@code CALL: RESULT}), and ends with {@code done}.
 */
final class Writer {
    private static final BufferedReader ORDERS =
            new BufferedReader(new InputStreamReader(System.in));
    private static final String TEXT = "from java";

    private interface Call {
        void run() throws IOException;
    }

    private static void call(String name, Call action) {
        try {
            action.run();
            System.out.println(name + ": ok");
        } catch (IOException error) {
            System.out.println(
                    name + ": " + error.getClass().getSimpleName() + " (" + error.getMessage() + ")");
        }
    }

    private static void race() throws IOException {
        System.out.println("ready");
        String line = ORDERS.readLine();
        if (!"go".equals(line)) {
            throw new IllegalStateException("not an order: " + line);
        }
    }

    private static ByteBuffer bytes(String text) {
        return ByteBuffer.wrap(text.getBytes());
    }

    private static void fsync(Path key) throws IOException {
        Files.readString(key);
        RandomAccessFile file = new RandomAccessFile(key.toFile(), "rw");
        file.setLength(0);
        file.write(TEXT.getBytes());
        race();
        call("FileDescriptor.sync", () -> file.getFD().sync());
        call("write", () -> file.write(", and more".getBytes()));
        call("close", file::close);
    }

    private static void force(Path key) throws IOException {
        Files.readString(key);
        FileChannel channel =
                FileChannel.open(key, StandardOpenOption.READ, StandardOpenOption.WRITE);
        channel.truncate(0);
        channel.write(bytes(TEXT));
        race();
        call("FileChannel.force", () -> channel.force(true));
        call("write", () -> channel.write(bytes(", and more")));
        call("close", channel::close);
    }

    private static void close(Path key) throws IOException {
        Files.readString(key);
        FileOutputStream stream = new FileOutputStream(key.toFile());
        stream.write(TEXT.getBytes());
        race();
        call("close", stream::close);
    }

    private static void rename(Path key) throws IOException {
        Files.readString(key);
        Path fresh = Path.of(key + ".new");
        Files.writeString(fresh, TEXT);
        race();
        call(
                "Files.move",
                () ->
                        Files.move(
                                fresh,
                                key,
                                StandardCopyOption.ATOMIC_MOVE,
                                StandardCopyOption.REPLACE_EXISTING));
    }

    private static void open(Path key) throws IOException {
        Files.readString(key);
        race();
        call("FileOutputStream", () -> new FileOutputStream(key.toFile()));
    }

    private static void whole(Path key) throws IOException {
        race();
        call("Files.writeString", () -> Files.writeString(key, TEXT));
    }

    public static void main(String[] arguments) throws IOException {
        for (String line = ORDERS.readLine(); line != null; line = ORDERS.readLine()) {
            String[] order = line.split(" ");
            Path key = Path.of(order[1]);
            switch (order[0]) {
                case "fsync" -> fsync(key);
                case "force" -> force(key);
                case "close" -> close(key);
                case "rename" -> rename(key);
                case "open" -> open(key);
                case "whole" -> whole(key);
                default -> throw new IllegalArgumentException(order[0]);
            }
            System.out.println("done");
        }
    }
}
