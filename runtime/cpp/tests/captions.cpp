// ovenbird-captions ARTIFACT IMAGE PROMPT: the text of an image by the public interface, with two beams, as JSON.
#include <cstdio>
#include <exception>

#include "ovenbird.hpp"

int main(int count, char **words) {
    if (count != 4) return 2;
    try {
        ovenbird::Artifact artifact(words[1]);
        ovenbird::Session session(artifact, 1);
        ovenbird_predict_options options = OVENBIRD_PREDICT_OPTIONS;
        options.prompt = words[3];
        options.beams = 2;
        ovenbird::Predictions found = session.predict({ovenbird::image(words[2])}, options);
        ovenbird_text text = found.text(0);
        std::printf("[\"%s\", [", text.text);
        for (size_t i = 0; i < text.token_count; ++i) {
            std::printf("%s%lld", i ? ", " : "", static_cast<long long>(text.tokens[i]));
        }
        std::printf("], %s, %g]\n", text.ended ? "true" : "false", text.confidence);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
