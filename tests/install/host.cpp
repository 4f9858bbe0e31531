// The same host in C++: keel.hpp must be whole in the installed form.
#include <keel/keel.hpp>

#include <cstdio>

int main() {
    std::printf("keel %s from C++\n", keel_version());
    return keel_abi_version() == KEEL_ABI_VERSION ? 0 : 1;
}
