// shapes ARTIFACT: what a network takes and gives; then one call on zeros.
#include <algorithm>
#include <cstdio>

#include <ovenbird.hpp>

int main(int count, char **words) try {
    if (count != 2) return 2;
    ovenbird::Artifact artifact(words[1]);
    ovenbird::Session session(artifact);
    std::vector<ovenbird::Buffer> memory;
    std::vector<ovenbird_tensor> inputs;
    for (const ovenbird_spec &spec : artifact.inputs()) {
        ovenbird_tensor tensor{spec.name, spec.dtype, spec.rank, {}, nullptr, sizeof(float)};
        for (int i = 0; i < spec.rank; ++i) {
            tensor.shape[i] = spec.shape[i] < 0 ? 1 : spec.shape[i];
            tensor.bytes *= static_cast<size_t>(tensor.shape[i]);
        }
        memory.emplace_back(tensor.bytes);
        std::fill_n(memory.back().as<float>(), tensor.bytes / sizeof(float), 0.0f);
        tensor.data = memory.back().as<void>();
        inputs.push_back(tensor);
    }
    ovenbird::Result result = session.run(inputs);
    std::printf("%s for %s, %d threads\n", artifact.model().c_str(), artifact.target().c_str(), session.threads());
    for (size_t i = 0; i < result.size(); ++i) {
        ovenbird_tensor output = result[i];
        std::printf("%s:", output.name);
        for (int d = 0; d < output.rank; ++d) std::printf(" %lld", static_cast<long long>(output.shape[d]));
        std::printf("\n");
    }
} catch (const ovenbird::Error &error) {
    std::fprintf(stderr, "error: %s: %s\n", error.name(), error.what());
    return 1;
}
