// ovenbird-sessions ARTIFACT: the public interface from many threads: one session of all, sessions side by side, and
// threads that come and go; every answer is the first one's, bit for bit. Meant for ThreadSanitizer as well.
#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "ovenbird.hpp"

namespace {

size_t item_bytes(ovenbird_dtype dtype) {
    static const size_t bytes[] = {4, 2, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1};
    return bytes[dtype];
}

struct Inputs {
    std::vector<ovenbird::Buffer> memory;
    std::vector<ovenbird_tensor> tensors;
};

Inputs inputs_of(const ovenbird::Artifact &artifact, int64_t batch) {
    Inputs inputs;
    for (const ovenbird_spec &spec : artifact.inputs()) {
        ovenbird_tensor tensor{spec.name, spec.dtype, spec.rank, {}, nullptr, item_bytes(spec.dtype)};
        for (int i = 0; i < spec.rank; ++i) {
            tensor.shape[i] = spec.shape[i] < 0 ? batch : spec.shape[i];
            tensor.bytes *= static_cast<size_t>(tensor.shape[i]);
        }
        inputs.memory.emplace_back(tensor.bytes);
        tensor.data = inputs.memory.back().as<void>();
        std::memset(inputs.memory.back().as<void>(), 0, tensor.bytes);
        for (size_t i = 0; spec.dtype == OVENBIRD_FLOAT32 && i < tensor.bytes / 4; ++i) {
            inputs.memory.back().as<float>()[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
        }
        inputs.tensors.push_back(tensor);
    }
    return inputs;
}

bool same(const ovenbird::Result &one, const ovenbird::Result &two) {
    for (size_t i = 0; i < one.size(); ++i) {
        if (one[i].bytes != two[i].bytes || std::memcmp(one[i].data, two[i].data, one[i].bytes) != 0) return false;
    }
    return one.size() == two.size();
}

} // namespace

int main(int count, char **words) {
    if (count != 2) return 2;
    auto artifact = std::make_unique<ovenbird::Artifact>(words[1]);
    Inputs inputs = inputs_of(*artifact, 3);
    ovenbird::Session alone(*artifact, 1), shared(*artifact, 3);
    ovenbird::Result first = alone.run(inputs.tensors);
    std::atomic<int> wrong{0};
    auto many = [&](const ovenbird::Session &session) {
        for (int i = 0; i < 40; ++i) wrong += !same(session.run(inputs.tensors), first);
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] { many(shared); });
        threads.emplace_back([&] { many(ovenbird::Session(*artifact, 2)); });
    }
    for (std::thread &thread : threads) thread.join();
    try {
        shared.run({});
        ++wrong;
    } catch (const ovenbird::Error &error) {
        wrong += std::strcmp(error.name(), "WrongInputNames") != 0;
    }
    artifact.reset(); // a session keeps what it needs
    wrong += !same(shared.run(inputs.tensors), first);
    std::printf("%d answers are wrong\n", wrong.load());
    return wrong != 0;
}
