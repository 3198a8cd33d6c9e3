// ovenbird-costs ARTIFACT THREADS [processor]: what loading and calling cost beyond digests and kernels, as JSON; in
// processor time of all threads where that is asked for, which other processes do not change much.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <utility>

#include "artifact/files.h"
#include "base/errors.h"
#include "base/json.h"
#include "engine/session.h"

namespace {

bool processor_time = false;

double now_ms() {
    timespec now{};
    clock_gettime(processor_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

// The shortest of several calls of each, in ms, in turn, as a processor's pace changes from second to second; so many
// that they take two seconds, three at least.
template <typename One, typename Two> std::pair<double, double> shortest_ms(const One &one, const Two &two) {
    using Clock = std::chrono::steady_clock;
    auto end = Clock::now() + std::chrono::seconds(2);
    std::pair<double, double> best{1e30, 1e30};
    for (int i = 0; i < 3 || Clock::now() < end; ++i) {
        double start = now_ms();
        one();
        double between = now_ms();
        two();
        best = {std::min(best.first, between - start), std::min(best.second, now_ms() - between)};
    }
    return best;
}

// A size of this process in bytes, as /proc has it.
int64_t own_bytes(const std::string &field) {
    std::string text = ob::system_text("/proc/self/status");
    size_t place = text.find(field + ":");
    return place == text.npos ? 0 : std::strtoll(text.c_str() + place + field.size() + 1, nullptr, 10) * 1024;
}

// Zeros for a program, for a batch of 1.
struct Zeros {
    std::vector<ob::AlignedBytes> memory;
    std::vector<ovenbird_tensor> tensors;

    explicit Zeros(const ob::Program &program) {
        for (const ob::TensorSpec &spec : program.inputs) {
            ob::Shape shape = spec.with_batch(1);
            ob::AlignedBytes &bytes = memory.emplace_back(static_cast<size_t>(spec.bytes(1)));
            std::fill_n(bytes.data(), bytes.bytes(), static_cast<unsigned char>(0));
            ovenbird_tensor view{spec.name.c_str(), spec.dtype, static_cast<int32_t>(shape.size()), {}, bytes.data(),
                                 bytes.bytes()};
            std::copy(shape.begin(), shape.end(), view.shape);
            tensors.push_back(view);
        }
    }
};

void print_costs(const std::string &path, int threads) {
    auto model = ob::load_model(path, {});
    const ob::Manifest &manifest = model->artifact.manifest;
    const ob::Program program = ob::at(manifest.program(), manifest.program().image_sizes()[0]);
    const auto &entries = model->plan.entries;
    auto entry = std::find_if(entries.begin(), entries.end(), [&](const auto &one) { return one.batch == 1; });
    if (entry == entries.end()) ob::fail(OVENBIRD_PLAN_MISSING, "the network was not compiled for a batch of 1");
    Zeros zeros(program);
    ob::Session session(model, threads);
    session.run("", zeros.tensors.data(), zeros.tensors.size(), false);
    int64_t resident = own_bytes("VmRSS"), arena = 0, weights = 0;
    for (const ob::PlanEntry &one : entries) arena = std::max(arena, one.arena_bytes);
    for (const ob::Memory &memory : model->files) weights += static_cast<int64_t>(memory.bytes());
    ob::Executor executor(*model, threads);
    ob::CheckedInputs given = ob::check_inputs(program, zeros.tensors.data(), zeros.tensors.size(), false);
    std::vector<ob::OutputTensor> outputs;
    for (const ob::TensorSpec &spec : program.outputs) {
        outputs.push_back({&spec, spec.with_batch(1), ob::AlignedBytes(static_cast<size_t>(spec.bytes(1)))});
    }
    size_t number = static_cast<size_t>(entry - entries.begin());
    executor.run(number, {program, given, outputs}, 0, 1);
    auto [call, kernels] = shortest_ms([&] { session.run("", zeros.tensors.data(), zeros.tensors.size(), false); },
                                       [&] { executor.repeat(number); });
    auto [load, digests] = shortest_ms([&] { ob::load_model(path, {}); },
                                       [&] {
                                           for (const auto &[name, record] : manifest.files) {
                                               model->artifact.verify(name);
                                           }
                                       });
    ob::JsonObject found;
    found.add("load_ms", ob::json_of(load)).add("digests_ms", ob::json_of(digests));
    found.add("call_us", ob::json_of(call * 1e3)).add("kernels_us", ob::json_of(kernels * 1e3));
    found.add("resident_bytes", ob::json_of(resident)).add("arena_bytes", ob::json_of(arena));
    std::puts(ob::json_text(found.add("weights_bytes", ob::json_of(weights)).done()).c_str());
}

} // namespace

int main(int count, char **words) {
    processor_time = count == 4 && std::string(words[3]) == "processor";
    if (count != 3 && !processor_time) return 2;
    try {
        print_costs(words[1], std::atoi(words[2]));
        return 0;
    } catch (const ob::Error &error) {
        std::fprintf(stderr, "error: %s: %s\n", ob::status_name(error.status), error.message.c_str());
        return 1;
    }
}
