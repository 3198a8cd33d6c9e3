// CHECK(condition): prints where it does not hold, and counts it.
#pragma once

#include <cstdio>

extern int failures;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                \
            ++failures;                                                                                                \
        }                                                                                                              \
    } while (false)

void test_decimals();
void test_pool();
