// What a fuzz target claims of every input.
#ifndef FASTCONTAINER_TESTS_FUZZ_CHECK_H_
#define FASTCONTAINER_TESTS_FUZZ_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace fastcontainer {

inline void Check(bool holds, const char* claim) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", claim);
  std::abort();
}

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_FUZZ_CHECK_H_
