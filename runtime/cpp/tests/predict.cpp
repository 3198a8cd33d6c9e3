// ovenbird-predict ARTIFACT IMAGE SEED: the public interface's predictions, a JSON document a line: of the file, of its
// bytes, what the functions for each answer say, and the numbers that the network was given.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "ovenbird.hpp"

namespace {

std::string bytes_of(const char *path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string one_line(std::string text) {
    for (char &c : text) c = c == '\n' ? ' ' : c;
    return text;
}

void print_input(const ovenbird::Artifact &artifact, const char *path, const ovenbird_predict_options &options) {
    ovenbird_image image = ovenbird::image(path);
    ovenbird_result *made = nullptr;
    ovenbird::check(ovenbird_preprocess(artifact.get(), &image, &options, &made));
    ovenbird::Result result(made);
    ovenbird_tensor tensor = result[0];
    const float *numbers = result.data<float>(tensor.name);
    double sum = 0;
    for (size_t i = 0; i < tensor.bytes / sizeof(float); ++i)
        sum += static_cast<double>(numbers[i]) * static_cast<double>(i % 7);
    std::printf("{\"name\": \"%s\", \"rank\": %d, \"sum\": %.17g}\n", tensor.name, tensor.rank, sum);
}

// Refusals are statuses, whatever is asked of what is not there.
int refusals(const ovenbird::Artifact &artifact, const ovenbird::Session &session, const char *path) {
    int wrong = 0;
    auto refuses = [&](const char *name, auto work) {
        try {
            work();
            ++wrong;
        } catch (const ovenbird::Error &error) {
            wrong += std::string(error.name()) != name;
        }
    };
    ovenbird::Predictions found = session.predict({ovenbird::image(path)});
    ovenbird_class one;
    ovenbird_predictions *none = nullptr;
    refuses("WrongOption", [&] { found.json(1); });
    refuses("WrongOption", [&] { found.embedding(0, "logits"); });
    refuses("WrongOption", [&] { ovenbird::check(ovenbird_class_at(nullptr, 0, nullptr, 0, &one)); });
    refuses("WrongOption", [&] { ovenbird::check(ovenbird_predict(nullptr, nullptr, 0, nullptr, &none)); });
    refuses("WrongOption", [&] { ovenbird::check(ovenbird_preprocess(artifact.get(), nullptr, nullptr, nullptr)); });
    refuses("ImageUnreadable", [&] { session.predict({}); });
    refuses("ImageUnreadable", [&] { session.predict({ovenbird::image("no", 2)}); });
    refuses("ImageNotFound", [&] { session.predict({ovenbird::image("/nowhere/at/all.jpg")}); });
    ovenbird_predict_options options = OVENBIRD_PREDICT_OPTIONS;
    options.top = 0;
    refuses("WrongOption", [&] { session.predict({ovenbird::image(path)}, options); });
    wrong += !found.boxes(0).empty() || !found.classes(7).empty() || found.classes(0).size() != 2;
    return wrong;
}

} // namespace

int main(int count, char **words) {
    if (count != 4) return 2;
    ovenbird::Artifact artifact(words[1]);
    ovenbird::Session session(artifact, 2);
    ovenbird_predict_options options = OVENBIRD_PREDICT_OPTIONS;
    options.seed = std::stoll(words[3]);
    options.embedding = 1;
    options.top = 3;
    std::string bytes = bytes_of(words[2]);
    ovenbird::Predictions found =
        session.predict({ovenbird::image(words[2]), ovenbird::image(bytes.data(), bytes.size())}, options);
    for (size_t i = 0; i < found.size(); ++i) std::puts(one_line(found.json(i)).c_str());
    std::printf("[");
    for (const ovenbird_class &one : found.classes(0)) {
        std::printf("%s[%lld, \"%s\", %.17g]", one.index == found.classes(0)[0].index ? "" : ", ",
                    static_cast<long long>(one.index), one.label, one.confidence);
    }
    ovenbird_embedding embedding = found.embedding(0);
    std::printf("]\n{\"mean\": %.17g, \"variance\": %.17g, \"first\": %.17g}\n", embedding.mean, embedding.variance,
                static_cast<double>(static_cast<const float *>(embedding.vector.data)[0]));
    print_input(artifact, words[2], options);
    return refusals(artifact, session, words[2]);
}
