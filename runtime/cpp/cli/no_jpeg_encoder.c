/* libjpeg-turbo's table of vector code names the encoder's, with 98 KB of tables; nothing here calls it. Defined here,
 * it is not taken from the library. */
#include <stdlib.h>

void jsimd_huff_encode_one_block_sse2(void) { abort(); }
const char jconst_huff_encode_one_block = 0;
