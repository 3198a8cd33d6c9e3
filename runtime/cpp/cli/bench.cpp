// ovenbird-run bench DIR: times of one call on random inputs.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <random>

#include "base/limits.h"
#include "base/text.h"
#include "commands.h"
#include "tensors/npz.h"

namespace ob {

namespace {

struct Timing {
    int64_t batch, calls;
    double least, median, p90, mean; // ms
};

// Standard normal numbers for floating-point inputs, zeros and ones for others.
std::vector<AlignedBytes> random_inputs(const Program &program, int64_t batch, std::vector<ovenbird_tensor> &views) {
    std::mt19937 random(0);
    std::normal_distribution<float> normal;
    std::vector<AlignedBytes> memory;
    for (const TensorSpec &spec : program.inputs) {
        Shape shape = spec.with_batch(batch);
        bool floating = info(spec.dtype).kind == 'f';
        ovenbird_dtype dtype = floating ? OVENBIRD_FLOAT32 : spec.dtype; // halves are converted by each call
        size_t bytes = static_cast<size_t>(product(shape, info(dtype).bytes));
        memory.emplace_back(bytes);
        std::memset(memory.back().data(), 0, bytes);
        size_t item = static_cast<size_t>(info(dtype).bytes);
        for (size_t i = 0; i < bytes; i += item) {
            float value = normal(random);
            if (floating) std::memcpy(memory.back().data() + i, &value, sizeof value);
            if (!floating) memory.back().data()[i] = value > 0;
        }
        ovenbird_tensor view{spec.name.c_str(),    dtype, static_cast<int32_t>(shape.size()), {},
                             memory.back().data(), bytes};
        std::copy(shape.begin(), shape.end(), view.shape);
        views.push_back(view);
    }
    return memory;
}

double now_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<double> times_of(Session &session, const std::vector<ovenbird_tensor> &inputs, double seconds,
                             std::optional<int64_t> calls) {
    std::vector<double> times;
    double end = now_ms() + seconds * 1e3;
    while (static_cast<int64_t>(times.size()) < calls.value_or(3) || (!calls && now_ms() < end)) {
        double start = now_ms();
        session.run("", inputs.data(), inputs.size(), false);
        times.push_back(now_ms() - start);
    }
    return times;
}

// As numpy's percentile: between two values in proportion.
double percentile(const std::vector<double> &sorted, double share) {
    double place = share * static_cast<double>(sorted.size() - 1);
    size_t low = static_cast<size_t>(place), high = std::min(low + 1, sorted.size() - 1);
    return sorted[low] + (sorted[high] - sorted[low]) * (place - std::floor(place));
}

Timing measure(Session &session, int64_t batch, double seconds, std::optional<int64_t> calls,
               std::optional<int64_t> warmup) {
    const Manifest &manifest = session.model().artifact.manifest;
    const Program program = at(manifest.program(), manifest.program().image_sizes()[0]);
    std::vector<ovenbird_tensor> inputs;
    std::vector<AlignedBytes> memory = random_inputs(program, batch, inputs);
    if (!warmup || *warmup > 0) times_of(session, inputs, seconds / 5, warmup);
    std::vector<double> times = times_of(session, inputs, seconds, calls);
    std::sort(times.begin(), times.end());
    double sum = 0;
    for (double one : times) sum += one;
    return {batch,
            static_cast<int64_t>(times.size()),
            times[0],
            percentile(times, 0.5),
            percentile(times, 0.9),
            sum / static_cast<double>(times.size())};
}

std::vector<int64_t> read_batches(const std::string &text) {
    std::vector<int64_t> found;
    for (const std::string &part : split(text, ",")) {
        bool digits = part.size() < 6 && part.find_first_not_of("0123456789") == part.npos;
        int64_t batch = digits ? std::atol(part.c_str()) : 0;
        if (batch < 1 || batch > MAX_BENCH_BATCH) {
            throw UsageError{str("Invalid value for '--batch': ", quoted(part), ": expected sizes of 1 to ",
                                 MAX_BENCH_BATCH, " with commas between them")};
        }
        found.push_back(batch);
    }
    if (found.empty()) throw UsageError{"Invalid value for '--batch': expected sizes with commas between them"};
    return found;
}

} // namespace

int command_bench(int count, char **words) {
    std::vector<Options::Known> known = LOADING;
    known.insert(known.end(), {{"--batch", true}, {"--seconds", true}, {"--iterations", true}, {"--warmup", true}});
    Options options(
        known,
        {{"-b", "--batch"}, {"--batch-size", "--batch"}, {"--batch-sizes", "--batch"}, {"--duration", "--seconds"}});
    options.parse(count, words);
    std::vector<int64_t> batches = read_batches(options.text("--batch").value_or("1"));
    double seconds = options.real("--seconds", 0.1, 600).value_or(3.0);
    std::optional<int64_t> calls = options.whole("--iterations", 1, MAX_BENCH_CALLS);
    std::optional<int64_t> warmup = options.whole("--warmup", 0, MAX_BENCH_CALLS);
    std::unique_ptr<Session> session = load_session(options, only_directory(options));
    std::vector<Timing> timings;
    for (int64_t batch : batches) timings.push_back(measure(*session, batch, seconds, calls, warmup));
    const std::string &target = session->model().target.target;
    if (options.given("--json")) {
        std::vector<Json> rows;
        for (const Timing &one : timings) {
            JsonObject row;
            row.add("batch", one.batch).add("calls", one.calls).add("min_ms", one.least);
            row.add("median_ms", one.median).add("p90_ms", one.p90).add("mean_ms", one.mean);
            row.add("size", json_list());
            row.add("images_per_second", 1e3 * static_cast<double>(one.batch) / one.median);
            rows.push_back(row.done());
        }
        JsonObject all;
        all.add("target", target).add("threads", static_cast<int64_t>(session->threads()));
        print(json_text(all.add("timings", json_list(std::move(rows))).done()));
        return 0;
    }
    print(str(target, ", ", session->threads(), " threads, times of one call in ms"));
    for (const Timing &one : timings) {
        print(str("batch ", one.batch, ": min ", format("%.3f", one.least), ", median ", format("%.3f", one.median),
                  ", p90 ", format("%.3f", one.p90), ", ",
                  format("%.1f", 1e3 * static_cast<double>(one.batch) / one.median), " images/s, ", one.calls,
                  " calls"));
    }
    return 0;
}

} // namespace ob
