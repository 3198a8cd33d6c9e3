// The shortest decimal number that reads back as a double: whole digits and a power of ten.
//
//     shortest(0.25)     // {25, -2}
#pragma once

#include <cstdint>

namespace ob {

struct Decimal {
    uint64_t digits; // 17 at most, no zeros at the end
    int exponent;
};

// Of a finite number above 0; of several that are as short, the one closest to it.
Decimal shortest(double number);

} // namespace ob
