#include "generation/generator.h"

#include <algorithm>
#include <cstring>

#include "base/errors.h"
#include "base/sort.h"
#include "base/text.h"

namespace ob {

namespace {

constexpr size_t PORTION = 8; // pictures whose states are made at one time

size_t slots_for(const std::vector<int64_t> &batches, size_t count, size_t width) {
    size_t widest = static_cast<size_t>(batches.back());
    if (width > widest) {
        fail(OVENBIRD_WRONG_OPTION, "beams is ", width, ", the model was compiled for ", widest,
             " sequences at a time");
    }
    size_t texts = std::max<size_t>(1, std::min(count, widest / width));
    auto least = std::lower_bound(batches.begin(), batches.end(), static_cast<int64_t>(texts * width));
    return static_cast<size_t>(*least);
}

const OutputTensor *find(const std::vector<OutputTensor> &outputs, const std::string &name) {
    for (const OutputTensor &output : outputs) {
        if (output.spec->name == name) return &output;
    }
    return nullptr;
}

ovenbird_tensor view_of(const std::string &name, ovenbird_dtype dtype, const Shape &shape, const void *data) {
    ovenbird_tensor view{name.c_str(), dtype, static_cast<int32_t>(shape.size()), {}, data, 0};
    std::copy(shape.begin(), shape.end(), view.shape);
    view.bytes = static_cast<size_t>(product(shape, info(dtype).bytes));
    return view;
}

const unsigned char *bytes_of_row(const OutputTensor &output, size_t row) {
    return output.data.data() + row * (output.data.bytes() / static_cast<size_t>(output.shape[0]));
}

} // namespace

std::vector<int64_t> batches_of(const Model &model, const std::string &program) {
    std::vector<int64_t> found;
    for (const PlanEntry &entry : model.plan.entries) {
        if (entry.program == program) found.push_back(entry.batch);
    }
    sort(found);
    if (found.empty()) {
        fail(OVENBIRD_PLAN_MISSING, "program ", program,
             " has no plan: it runs on TVM's virtual machine alone; "
             "use ovenbird-rt");
    }
    return found;
}

// What the programs that a picture needs once gave: rows of states, by the outputs' names.
struct Generator::Prepared {
    std::vector<std::vector<OutputTensor>> outputs; // of each program
    std::vector<StateUses> writes;
};

// One text in flight.
struct Generator::Text {
    size_t place; // of its picture
    std::unique_ptr<TokenSearch> search;
    std::vector<size_t> slots; // of its sequences, in the order of the search's rows
};

Generator::Generator(Session &session, size_t count, size_t width)
    : session_(session), manifest_(session.model().artifact.manifest), loop_(*manifest_.loop),
      batches_(batches_of(session.model(), loop_.step)), reads_(reads_of(manifest_.states, loop_.step)),
      writes_(writes_of(manifest_.states, loop_.step)), bank_(manifest_.states, slots_for(batches_, count, width)) {}

std::vector<Tokens> Generator::write(const ovenbird_tensor &pictures, const TextRequest &request) {
    size_t count = static_cast<size_t>(pictures.shape[0]), width = static_cast<size_t>(request.kind.beams);
    std::vector<Tokens> found(count);
    std::vector<Text> texts;
    Prepared prepared;
    for (size_t next = 0; next < count || !texts.empty();) {
        for (; next < count && (texts.size() + 1) * width <= bank_.slots(); ++next) {
            if (next % PORTION == 0) {
                ovenbird_tensor portion = pictures;
                portion.shape[0] = static_cast<int64_t>(std::min(PORTION, count - next));
                portion.bytes = pictures.bytes / count * static_cast<size_t>(portion.shape[0]);
                portion.data = static_cast<const unsigned char *>(pictures.data) + pictures.bytes / count * next;
                prepared = prepare(portion);
            }
            texts.push_back({next, search_for(request.kind, request.settings, request.prompt), {}});
            begin(texts.back(), prepared, next % PORTION);
        }
        step(texts);
        for (size_t i = 0; i < texts.size();) {
            if (!texts[i].search->done()) {
                ++i;
                continue;
            }
            found[texts[i].place] = texts[i].search->result();
            drop(texts[i], texts);
            texts.erase(texts.begin() + static_cast<long>(i));
        }
    }
    return found;
}

Generator::Prepared Generator::prepare(const ovenbird_tensor &pictures) const {
    Prepared found;
    for (const std::string &name : loop_.once) {
        std::vector<ovenbird_tensor> inputs;
        for (const TensorSpec &spec : manifest_.program(name).inputs) {
            const OutputTensor *known = nullptr; // the last one of that name
            for (const auto &outputs : found.outputs) {
                if (const OutputTensor *one = find(outputs, spec.name)) known = one;
            }
            inputs.push_back(known ? view_of(spec.name, spec.dtype, known->shape, known->data.data()) : pictures);
            inputs.back().name = spec.name.c_str();
        }
        found.outputs.push_back(session_.run(name, inputs.data(), inputs.size(), true));
        found.writes.push_back(writes_of(manifest_.states, name));
    }
    return found;
}

void Generator::begin(Text &text, const Prepared &prepared, size_t row) {
    size_t slot = bank_.take();
    text.slots.push_back(slot);
    for (size_t i = 0; i < prepared.outputs.size(); ++i) {
        for (const auto &[tensor, state] : prepared.writes[i]) {
            const OutputTensor &output = *find(prepared.outputs[i], tensor);
            bank_.append(state, slot, bytes_of_row(output, row), output.shape[1 + manifest_.states[state].axis]);
        }
    }
    bank_.settle(slot);
}

// Runs the step program on all sequences, whatever their positions.
void Generator::step(std::vector<Text> &texts) {
    int64_t batch = *std::lower_bound(batches_.begin(), batches_.end(), static_cast<int64_t>(bank_.used()));
    std::vector<int64_t> tokens(static_cast<size_t>(batch)), positions(tokens.size());
    for (const Text &text : texts) {
        Tokens next = text.search->tokens();
        for (size_t i = 0; i < text.slots.size(); ++i) {
            tokens[text.slots[i]] = next[i];
            positions[text.slots[i]] = static_cast<int64_t>(text.search->position());
        }
    }
    std::vector<ovenbird_tensor> inputs{view_of(loop_.token, OVENBIRD_INT64, {batch}, tokens.data()),
                                        view_of(loop_.position, OVENBIRD_INT64, {batch}, positions.data())};
    for (const auto &[tensor, state] : reads_) {
        Shape shape = manifest_.states[state].shape;
        shape.push_front(batch);
        inputs.push_back(view_of(tensor, manifest_.states[state].dtype, shape, bank_.data(state)));
    }
    std::vector<OutputTensor> outputs = session_.run(loop_.step, inputs.data(), inputs.size(), true, false);
    for (Text &text : texts) advance(text, outputs);
}

// Puts a text's new rows behind its others, and lets its search choose.
void Generator::advance(Text &text, const std::vector<OutputTensor> &outputs) {
    for (const auto &[tensor, state] : writes_) {
        const OutputTensor &rows = *find(outputs, tensor);
        for (size_t slot : text.slots) {
            bank_.append(state, slot, bytes_of_row(rows, slot), rows.shape[1 + manifest_.states[state].axis]);
        }
    }
    const OutputTensor &logits = *find(outputs, loop_.logits);
    LogitRows rows;
    for (size_t slot : text.slots) rows.push_back(reinterpret_cast<const float *>(bytes_of_row(logits, slot)));
    std::vector<size_t> parents = text.search->advance(rows, static_cast<size_t>(logits.shape[1]));
    if (text.search->done() || parents.size() == 1) return;
    while (text.slots.size() < parents.size()) { // all beams begin alike
        text.slots.push_back(bank_.take());
        bank_.copy(text.slots[0], text.slots.back());
    }
    bank_.reorder(text.slots, parents);
}

// Frees all slots of a text; sequences that move into the holes are told to their owners.
void Generator::drop(Text &text, std::vector<Text> &texts) {
    sort(text.slots, std::greater<>());
    for (size_t slot : text.slots) {
        size_t last = bank_.drop(slot);
        for (Text &other : texts) {
            if (&other != &text) std::replace(other.slots.begin(), other.slots.end(), last, slot);
        }
    }
    text.slots.clear();
}

} // namespace ob
