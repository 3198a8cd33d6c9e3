/* The same header in plain C. */
#include <stdio.h>

#include <ovenbird.h>

int main(void) {
    ovenbird_artifact *artifact = NULL;
    ovenbird_status status = ovenbird_open("nowhere", NULL, &artifact);
    printf("ovenbird %s, %s: %s\n", ovenbird_version(), ovenbird_status_name(status), ovenbird_last_message());
    return ovenbird_abi_version() != OVENBIRD_ABI_VERSION;
}
