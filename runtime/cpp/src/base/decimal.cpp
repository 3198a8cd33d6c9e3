// Raffaello Giulietti's Schubfach ("The Schubfach way to render doubles", 2020): three products with one power of ten
// say which decimals lie between a number's two neighbours. The powers are computed at the first call, for a table of
// them would be ten kilobytes of every program.
#include "base/decimal.h"

#include <cstring>

namespace ob {

namespace {

using Wide = unsigned __int128;

// Whole numbers of any power of five that is needed here, the lowest word first.
struct Long {
    static constexpr int WORDS = 13;
    uint64_t words[WORDS] = {};

    void times_five() {
        uint64_t carry = 0;
        for (uint64_t &word : words) {
            Wide product = Wide(word) * 5 + carry;
            word = static_cast<uint64_t>(product);
            carry = static_cast<uint64_t>(product >> 64);
        }
    }

    void over_five() {
        uint64_t rest = 0;
        for (int i = WORDS - 1; i >= 0; --i) {
            Wide part = Wide(rest) << 64 | words[i];
            words[i] = static_cast<uint64_t>(part / 5);
            rest = static_cast<uint64_t>(part % 5);
        }
    }

    // The upper 128 bits from the first that is set, rounded up where bits below them are set, or `more` follow.
    Wide upper(bool more) const {
        int top = WORDS - 1;
        while (!words[top]) --top;
        auto word = [&](int place) { return place < 0 ? 0 : words[place]; };
        int shift = __builtin_clzll(words[top]);
        Wide found = (Wide(words[top]) << 64 | word(top - 1)) << shift;
        uint64_t below = word(top - 2);
        if (shift) found |= below >> (64 - shift);
        more = more || below << shift;
        for (int i = 0; i < top - 2; ++i) more = more || words[i];
        return found + more;
    }
};

// The powers of ten that doubles need, each 128 bits from the first that is set, rounded up.
class Powers {
  public:
    Powers() {
        Long grown, shrunk;
        grown.words[0] = 1;
        for (int k = 0; k <= MOST; ++k, grown.times_five()) upper_[k - LEAST] = grown.upper(false);
        shrunk.words[Long::WORDS - 1] = uint64_t{1} << 63;
        for (int k = -1; k >= LEAST; --k) {
            shrunk.over_five();
            upper_[k - LEAST] = shrunk.upper(true); // what was divided away is never nothing
        }
    }

    Wide of(int power) const { return upper_[power - LEAST]; }

  private:
    static constexpr int LEAST = -292, MOST = 324;
    Wide upper_[MOST - LEAST + 1];
};

// The upper 64 bits of a product of 192, its last bit set where others below are.
uint64_t rounded_to_odd(Wide power, uint64_t number) {
    Wide low = Wide(static_cast<uint64_t>(power)) * number;
    Wide high = Wide(static_cast<uint64_t>(power >> 64)) * number + static_cast<uint64_t>(low >> 64);
    return static_cast<uint64_t>(high >> 64) | (static_cast<uint64_t>(high) > 1);
}

} // namespace

Decimal shortest(double number) {
    static const Powers powers;
    uint64_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
    int biased = static_cast<int>(bits >> 52 & 0x7ff);
    // number = whole * 2^power; where it is a power of two, the neighbour below is half as far as the one above.
    uint64_t whole = biased ? fraction | uint64_t{1} << 52 : fraction;
    int power = (biased ? biased : 1) - 1075;
    uint64_t nearer = fraction == 0 && biased > 1, odd = whole % 2;
    int exponent = (power * 1262611 - (nearer ? 524031 : 0)) >> 22; // floor of the distance's decimal logarithm
    int shift = power + (-exponent * 1741647 >> 19) + 1;
    Wide ten = powers.of(-exponent);
    // Four times the number, and what lies half-way to its neighbours, which read back as it where it is even.
    uint64_t lower = rounded_to_odd(ten, (4 * whole - 2 + nearer) << shift) + odd;
    uint64_t middle = rounded_to_odd(ten, 4 * whole << shift);
    uint64_t upper = rounded_to_odd(ten, (4 * whole + 2) << shift) - odd;
    uint64_t digits = middle / 4, tens = digits / 10;
    bool tens_below = lower <= 40 * tens, tens_above = 40 * tens + 40 <= upper;
    if (digits >= 10 && tens_below != tens_above) {
        digits = tens + tens_above;
        ++exponent;
    } else {
        bool below = lower <= 4 * digits, above = 4 * digits + 4 <= upper;
        uint64_t half = 4 * digits + 2;
        bool up = below != above ? above : middle > half || (middle == half && digits % 2);
        digits += up;
    }
    for (; digits % 10 == 0; ++exponent) digits /= 10;
    return {digits, exponent};
}

} // namespace ob
