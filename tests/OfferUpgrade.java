import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;

/** Java's own HTTP client with its default settings, so that it offers h2c: a body with a length, and one in chunks. */
public class OfferUpgrade {
    private static final String CALL =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"whoami\",\"arguments\":{}}}";

    public static void main(String[] arguments) throws Exception {
        var bytes = CALL.getBytes(StandardCharsets.UTF_8);
        var bodies = new HttpRequest.BodyPublisher[] {
            HttpRequest.BodyPublishers.ofString(CALL),
            HttpRequest.BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(bytes)),
        };
        for (var body : bodies) {
            // Two requests of one client: the second one goes without the offer, on the same connection.
            var client = HttpClient.newHttpClient();
            for (int number = 0; number < 2; number++) {
                var request = HttpRequest.newBuilder(URI.create(arguments[0]))
                    .header("Host", arguments[1])
                    .header("Authorization", "Bearer " + arguments[2])
                    .header("Content-Type", "application/json")
                    .header("Accept", "application/json, text/event-stream")
                    .POST(body)
                    .build();
                System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
            }
        }
    }
}
