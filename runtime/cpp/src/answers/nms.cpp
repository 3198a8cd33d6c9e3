#include "answers/nms.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/sort.h"

namespace ob {

namespace {

constexpr size_t PORTION = 1024; // the best, which take part in soft suppression
constexpr double SIGMA = 0.5;    // of its Gaussian (Bodla et al., 2017)
constexpr int TERMS = 13;        // of its series: the first that is left out is below 1e-19

float area(const Candidate &one) { return (one.sides[2] - one.sides[0]) * (one.sides[3] - one.sides[1]); }

// Each operation rounded to float32; 0 or less where boxes do not meet.
float iou_of(const Candidate &one, const Candidate &two) {
    float across = std::min(one.sides[2], two.sides[2]) - std::max(one.sides[0], two.sides[0]);
    float down = std::min(one.sides[3], two.sides[3]) - std::max(one.sides[1], two.sides[1]);
    float shared = std::max(across, 0.0f) * down;
    return shared / (area(one) + area(two) - shared);
}

// exp(-overlap**2 / SIGMA) of a number from 0 to 1, by the same operations as nms.py: libraries' exp differ in the last
// bit.
double gaussian(double overlap) {
    double eighth = overlap * overlap / (-8 * SIGMA);
    double total = 1.0 + eighth / TERMS;
    for (int term = TERMS - 1; term > 0; --term) total = 1.0 + eighth * total / term;
    for (int times = 0; times < 3; ++times) total *= total;
    return total;
}

} // namespace

std::vector<size_t> best(const std::vector<Candidate> &candidates, size_t most) {
    std::vector<size_t> places(candidates.size());
    std::iota(places.begin(), places.end(), size_t{0});
    most = std::min(most, places.size());
    auto better = [&](size_t one, size_t two) {
        float a = candidates[one].score, b = candidates[two].score;
        return a > b || (a == b && one < two);
    };
    std::partial_sort(places.begin(), places.begin() + static_cast<long>(most), places.end(), better);
    places.resize(most);
    return places;
}

std::vector<size_t> suppress(const std::vector<Candidate> &candidates, double iou, size_t most) {
    std::vector<size_t> kept;
    for (size_t place : best(candidates, candidates.size())) {
        if (kept.size() == most) break;
        const Candidate &one = candidates[place];
        bool free = std::none_of(kept.begin(), kept.end(), [&](size_t other) {
            const Candidate &two = candidates[other];
            return one.group == two.group && static_cast<double>(iou_of(one, two)) > iou;
        });
        if (free) kept.push_back(place);
    }
    return kept;
}

std::vector<Lowered> suppress_softly(const std::vector<Candidate> &candidates, double score, size_t most) {
    std::vector<size_t> left = best(candidates, PORTION);
    sort(left);
    std::vector<double> lowered(candidates.size());
    for (size_t i = 0; i < candidates.size(); ++i) lowered[i] = static_cast<double>(candidates[i].score);
    std::vector<Lowered> kept;
    while (!left.empty() && kept.size() < most) {
        auto first = std::max_element(left.begin(), left.end(),
                                      [&](size_t one, size_t two) { return lowered[one] < lowered[two]; });
        size_t chosen = *first;
        kept.push_back({chosen, lowered[chosen]});
        left.erase(first);
        for (size_t place : left) {
            double overlap = static_cast<double>(iou_of(candidates[chosen], candidates[place]));
            bool apart = candidates[place].group != candidates[chosen].group;
            if (apart || std::isnan(overlap)) overlap = 0.0;
            lowered[place] *= gaussian(std::clamp(overlap, 0.0, 1.0));
        }
        left.erase(std::remove_if(left.begin(), left.end(), [&](size_t place) { return !(lowered[place] > score); }),
                   left.end());
    }
    return kept;
}

} // namespace ob
