// One upload by the JDK's HttpClient: `java JavaClient.java VERSION TRUSTSTORE URL AUTHORIZATION SIZE`.
//
// It sends `Expect: 100-continue` and, by default, `Upgrade: h2c` on http://. Prints the status and the body.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

public class JavaClient {
    public static void main(String[] words) throws Exception {
        if (!words[1].isEmpty()) {
            System.setProperty("javax.net.ssl.trustStore", words[1]);
            System.setProperty("javax.net.ssl.trustStorePassword", "changeit");
        }
        HttpClient.Version version = words[0].equals("2") ? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1;
        HttpRequest request = HttpRequest.newBuilder(URI.create(words[2]))
            .version(version)
            .timeout(Duration.ofSeconds(15))
            .header("Authorization", words[3])
            .expectContinue(true)
            .PUT(HttpRequest.BodyPublishers.ofByteArray(new byte[Integer.parseInt(words[4])]))
            .build();
        HttpResponse<String> response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(response.statusCode() + " " + response.version() + " " + response.body());
    }
}
