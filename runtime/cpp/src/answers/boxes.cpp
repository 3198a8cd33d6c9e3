#include "answers/boxes.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "answers/classes.h"
#include "answers/nms.h"
#include "base/errors.h"
#include "base/sort.h"
#include "base/text.h"
#include "tensors/convert.h"

namespace ob {

namespace {

std::string some(const std::vector<std::string> &labels) {
    size_t shown_labels = std::min<size_t>(labels.size(), 20);
    std::vector<std::string> first(labels.begin(), labels.begin() + static_cast<long>(shown_labels));
    return labels.size() > 20 ? str(join(first), " and ", labels.size() - 20, " more") : join(first);
}

// A class given by its index, in digits; nullopt for other text.
std::optional<int64_t> index_of(const std::string &name) {
    if (name.empty() || name.size() > 18 || name.find_first_not_of("0123456789") != name.npos) return std::nullopt;
    return std::stoll(name);
}

std::vector<int64_t> indices(const std::vector<std::string> &wanted, const std::vector<std::string> *labels) {
    std::set<int64_t> found;
    for (const std::string &name : wanted) {
        bool known = false;
        for (size_t i = 0; labels && i < labels->size(); ++i) {
            if ((*labels)[i] != name) continue;
            found.insert(static_cast<int64_t>(i));
            known = true;
        }
        if (known) continue;
        std::optional<int64_t> index = index_of(name);
        if (index && (!labels || *index < static_cast<int64_t>(labels->size()))) {
            found.insert(*index);
            continue;
        }
        std::string there = labels ? str(some(*labels), ", or 0 to ", labels->size() - 1) : "indices from 0";
        fail(OVENBIRD_WRONG_OPTION, "classes has ", shown(name), ", there are ", there);
    }
    return {found.begin(), found.end()};
}

// Whether a box has an area, and where there is a frame touches the photograph.
bool is_seen(const float *sides, const Frame *frame) {
    for (int i = 0; i < 4; ++i) {
        if (!std::isfinite(sides[i])) return false;
    }
    if (!(sides[0] < sides[2] && sides[1] < sides[3])) return false;
    for (size_t axis = 0; frame && axis < 2; ++axis) {
        float first = static_cast<float>(frame->to_input(0.0, axis));
        float last = static_cast<float>(frame->to_input(static_cast<double>(frame->original[axis]), axis));
        if (!(sides[axis + 2] > first && sides[axis] < last)) return false;
    }
    return true;
}

// What may become a box, and its place among all.
struct Found {
    std::vector<Candidate> candidates;
    std::vector<size_t> places;
};

Found candidates_of(const BoxRows &rows, const BoxSettings &settings, const Frame *frame) {
    Found all;
    const float *scores = rows.scores.floats(), *sides = rows.boxes.floats();
    float least = static_cast<float>(settings.score);
    for (size_t i = 0; i < rows.scores.count(); ++i) {
        if (!(scores[i] > least) || !std::isfinite(scores[i])) continue;
        int64_t index = whole_at(rows.classes.dtype, rows.classes.data, i).value;
        if (index < 0) continue;
        const auto &wanted = settings.classes;
        if (wanted && !std::binary_search(wanted->begin(), wanted->end(), index)) continue;
        const float *box = sides + 4 * i;
        all.candidates.push_back({{box[0], box[1], box[2], box[3]}, scores[i], index});
        all.places.push_back(i);
    }
    std::vector<size_t> kept(all.candidates.size());
    std::iota(kept.begin(), kept.end(), size_t{0});
    if (kept.size() > static_cast<size_t>(MAX_CANDIDATES)) {
        kept = best(all.candidates, static_cast<size_t>(MAX_CANDIDATES));
        sort(kept);
    }
    Found found;
    for (size_t place : kept) {
        if (!is_seen(all.candidates[place].sides, frame)) continue;
        found.candidates.push_back(all.candidates[place]);
        found.places.push_back(all.places[place]);
    }
    return found;
}

std::vector<Lowered> chosen(const AnswerStep &step, std::vector<Candidate> candidates, const BoxSettings &settings) {
    if (settings.agnostic) {
        for (Candidate &one : candidates) one.group = 0;
    }
    if (step.nms == NmsKind::Soft) return suppress_softly(candidates, settings.score, settings.max_boxes);
    std::vector<size_t> places = step.nms == NmsKind::Hard ? suppress(candidates, settings.iou, settings.max_boxes)
                                                           : best(candidates, settings.max_boxes);
    std::vector<Lowered> found;
    for (size_t place : places) found.push_back({place, static_cast<double>(candidates[place].score)});
    return found;
}

std::vector<std::array<double, 3>> keypoints_of(const Row &row, size_t place, const Frame *frame) {
    std::vector<std::array<double, 3>> points;
    size_t count = static_cast<size_t>(row.shape[1]);
    for (size_t i = 0; i < count; ++i) {
        const float *point = row.floats() + (place * count + i) * 3;
        std::array<double, 3> found{point[0], point[1], point[2]};
        for (size_t axis = 0; frame && axis < 2; ++axis) found[axis] = frame->to_original(found[axis], axis);
        points.push_back(found);
    }
    return points;
}

} // namespace

BoxSettings box_settings(const AnswerStep &step, const PredictOptions &options,
                         const std::vector<std::string> *labels) {
    BoxSettings settings{options.score.value_or(step.score), options.iou.value_or(step.iou),
                         static_cast<size_t>(options.max_boxes.value_or(step.max_boxes)),
                         options.agnostic.value_or(step.agnostic), std::nullopt};
    if (options.classes) settings.classes = indices(*options.classes, labels);
    return settings;
}

std::vector<Box> find_boxes(const AnswerStep &step, const BoxRows &rows, const BoxSettings &settings,
                            const std::vector<std::string> *labels, const Frame *frame) {
    Found found = candidates_of(rows, settings, frame);
    std::vector<Box> boxes;
    for (const Lowered &one : chosen(step, found.candidates, settings)) {
        const Candidate &candidate = found.candidates[one.place];
        std::array<double, 4> whole{};
        for (size_t side = 0; side < 4; ++side) {
            double place = static_cast<double>(candidate.sides[side]);
            whole[side] = frame ? frame->to_original(place, side % 2) : place;
        }
        Box box{label_of(labels, candidate.group), candidate.group, one.score, whole, std::nullopt, {}};
        for (size_t side = 0; frame && side < 4; ++side) {
            box.box[side] = std::clamp(whole[side], 0.0, static_cast<double>(frame->original[side % 2]));
        }
        size_t place = found.places[one.place];
        if (rows.masks && frame) {
            int64_t side = rows.masks->shape[1];
            const float *grid = rows.masks->floats() + place * static_cast<size_t>(side * side);
            box.mask = Mask{grid, side, whole, frame->original};
        }
        if (rows.keypoints) box.keypoints = keypoints_of(*rows.keypoints, place, frame);
        boxes.push_back(std::move(box));
    }
    return boxes;
}

} // namespace ob
