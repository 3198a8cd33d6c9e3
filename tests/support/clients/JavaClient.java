// Java's own client with its defaults: HTTP/2 preferred, so that every request of a plain connection asks for h2c.
// java JavaClient.java http://127.0.0.1:8000 tiny picture.jpg

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;

class JavaClient {
    static final HttpClient CLIENT = HttpClient.newHttpClient();

    static void show(String what, HttpRequest.Builder request) throws Exception {
        var answer = CLIENT.send(request.build(), BodyHandlers.ofString());
        System.out.println(what + " " + answer.statusCode() + " " + answer.version() + " "
            + answer.body().contains("predictions"));
    }

    public static void main(String[] arguments) throws Exception {
        var base = arguments[0];
        var predict = URI.create(base + "/v1/models/" + arguments[1] + ":predict");
        var picture = Path.of(arguments[2]);
        var data = Files.readAllBytes(picture);
        show("get", HttpRequest.newBuilder(URI.create(base + "/v2/health/ready")));
        show("file", HttpRequest.newBuilder(predict).POST(BodyPublishers.ofFile(picture)));
        show("continue", HttpRequest.newBuilder(predict).expectContinue(true).POST(BodyPublishers.ofFile(picture)));
        show("chunked", HttpRequest.newBuilder(predict)
            .POST(BodyPublishers.ofInputStream(() -> new java.io.ByteArrayInputStream(data))));
        show("json", HttpRequest.newBuilder(predict).header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString("{\"image\": \"" + Base64.getMimeEncoder().encodeToString(data)
                .replace("\r\n", "\\r\\n") + "\"}")));
    }
}
