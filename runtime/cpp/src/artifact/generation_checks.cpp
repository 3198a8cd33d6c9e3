// What states and the loop say of programs, checked.
#include <algorithm>
#include <set>

#include "artifact/generation.h"
#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

const Program *find(const NamedPrograms &programs, const std::string &name) {
    for (const auto &[known, program] : programs) {
        if (known == name) return &program;
    }
    return nullptr;
}

const TensorSpec *find(const std::vector<TensorSpec> &specs, const std::string &name) {
    for (const TensorSpec &spec : specs) {
        if (spec.name == name) return &spec;
    }
    return nullptr;
}

std::string names_of(const NamedPrograms &programs) {
    std::vector<std::string> names;
    for (const auto &[name, program] : programs) names.push_back(name);
    return join(names);
}

void check_use(const NamedPrograms &programs, const KeptState &state, const StateUse &use, bool written,
               const std::string &where) {
    const Program *program = find(programs, use.program);
    const TensorSpec *spec = program ? find(written ? program->outputs : program->inputs, use.tensor) : nullptr;
    if (!spec) {
        invalid(where, ": ", use.program, " has no ", written ? "output " : "input ", shown(use.tensor));
    }
    Shape expected = state.shape;
    expected.push_front(DIM_BATCH);
    if (written && spec->shape.size() == expected.size()) {
        int64_t rows = spec->shape[1 + state.axis];
        if (rows >= 1 && rows <= state.capacity()) expected[1 + state.axis] = rows;
    }
    if (spec->dtype == state.dtype && spec->shape == expected) return;
    invalid(where, ": ", spec->name, " of ", use.program, " is ", info(spec->dtype).name, " ",
            cut(shape_text(spec->shape)), ", the state ", info(state.dtype).name, " ", cut(shape_text(expected)));
}

void check_state(const NamedPrograms &programs, const KeptState &state, const std::string &where) {
    if (state.axis >= state.shape.size()) {
        invalid(where, " has rows along axis ", state.axis, ", its shape is ", cut(shape_text(state.shape)));
    }
    for (const StateUse &use : state.reads) check_use(programs, state, use, false, where);
    for (const StateUse &use : state.writes) check_use(programs, state, use, true, where);
}

// The first program takes a picture, and every other input is what a program before it gave.
void check_once(const NamedPrograms &programs, const TextLoop &loop, const std::string &where) {
    const std::vector<TensorSpec> &first = find(programs, loop.once[0])->inputs;
    if (first.size() != 1 || !first[0].batched() || first[0].shape.size() != 4 || first[0].dtype != OVENBIRD_FLOAT32) {
        invalid(where, ".loop begins with ", loop.once[0], ", which takes no batch of pictures");
    }
    std::vector<TensorSpec> given{first[0]}; // a later one of a name counts
    for (const std::string &name : loop.once) {
        const Program &program = *find(programs, name);
        if (!program.sizes.empty()) {
            invalid(where, ".loop runs ", name, ", which takes several image sizes");
        }
        for (const TensorSpec &spec : program.inputs) {
            auto known =
                std::find_if(given.rbegin(), given.rend(), [&](const auto &one) { return one.name == spec.name; });
            if (known == given.rend() || known->dtype != spec.dtype || known->shape != spec.shape) {
                invalid(where, ".loop: nothing before ", name, " gives its input ", shown(spec.name));
            }
        }
        given.insert(given.end(), program.outputs.begin(), program.outputs.end());
    }
}

// How many rows a write adds.
int64_t rows_of(const NamedPrograms &programs, const KeptState &state, const StateUse &use) {
    return find(find(programs, use.program)->outputs, use.tensor)->shape[1 + state.axis];
}

void check_step(const NamedPrograms &programs, const std::vector<KeptState> &states, const TextLoop &loop,
                const std::string &where) {
    const Program &step = *find(programs, loop.step);
    for (const std::string &name : {loop.token, loop.position}) {
        const TensorSpec *spec = find(step.inputs, name);
        bool whole = spec && (spec->dtype == OVENBIRD_INT32 || spec->dtype == OVENBIRD_INT64);
        if (!whole || spec->shape != Shape{DIM_BATCH}) {
            invalid(where, ".loop: ", loop.step, " has no input ", shown(name), " of whole numbers [N]");
        }
    }
    std::set<std::string> rest;
    for (const TensorSpec &spec : step.inputs) rest.insert(spec.name);
    rest.erase(loop.token);
    rest.erase(loop.position);
    for (const auto &[tensor, state] : reads_of(states, loop.step)) rest.erase(tensor);
    if (!rest.empty()) {
        invalid(where, ".loop: the input ", shown(*rest.begin()), " of ", loop.step, " is no state");
    }
    const TensorSpec *logits = find(step.outputs, loop.logits);
    if (!logits || logits->shape.size() != 2 || logits->dtype != OVENBIRD_FLOAT32) {
        invalid(where, ".loop: ", loop.step, " has no output ", shown(loop.logits), ", float32 [N, V]");
    }
    for (const auto *tokens : {&loop.begin, &loop.end, &loop.hidden}) {
        for (int64_t token : *tokens) {
            if (token < logits->shape[1]) continue;
            invalid(where, ".loop: token ", token, " is beyond the ", logits->shape[1], " of ", loop.logits);
        }
    }
    if (static_cast<int64_t>(loop.begin.size()) >= loop.max_length) {
        invalid(where, ".loop begins with ", loop.begin.size(), " tokens of at most ", loop.max_length);
    }
    for (const KeptState &state : states) {
        int64_t taken = 0;
        for (const StateUse &use : state.writes) {
            bool once = std::count(loop.once.begin(), loop.once.end(), use.program) != 0;
            int64_t times = once ? 1 : use.program == loop.step ? loop.max_length - 1 : 0; // the last token is not fed
            taken += times * rows_of(programs, state, use);
        }
        if (taken <= state.capacity()) continue;
        invalid(where, ".states[", shown(state.name), "] holds ", state.capacity(), " rows, ", loop.max_length,
                " tokens take ", taken);
    }
}

} // namespace

void check_generation(const NamedPrograms &programs, const std::vector<KeptState> &states,
                      const std::optional<TextLoop> &loop, const std::vector<std::string> &files,
                      const std::string &where) {
    if (!loop) {
        if (states.empty()) return;
        auto least = std::min_element(states.begin(), states.end(),
                                      [](const KeptState &one, const KeptState &two) { return one.name < two.name; });
        invalid(where, " has the state ", shown(least->name), " and no loop that keeps it");
    }
    std::vector<std::string> run = loop->once;
    run.push_back(loop->step);
    for (const std::string &name : run) {
        if (find(programs, name)) continue;
        invalid(where, ".loop names the program ", shown(name), ", there are ", names_of(programs));
    }
    if (std::set<std::string>(run.begin(), run.end()).size() != run.size()) {
        invalid(where, ".loop runs a program in two places: ", join(run));
    }
    if (!std::count(files.begin(), files.end(), loop->vocabulary)) {
        invalid(where, ": the vocabulary ", shown(loop->vocabulary), " is not in the file table");
    }
    for (const KeptState &state : states) {
        check_state(programs, state, str(where, ".states[", shown(state.name), "]"));
    }
    check_once(programs, *loop, where);
    check_step(programs, states, *loop, where);
}

} // namespace ob
