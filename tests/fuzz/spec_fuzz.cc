// Specs with their classes: two records, with a line "---" between them.
#include <string>
#include <string_view>

#include "fastcontainer/records.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fastcontainer;
  constexpr std::string_view kBetween = "\n---\n";
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t at = text.find(kBetween);
  const std::string_view spec_text = text.substr(0, at);
  const std::string_view class_text = at == text.npos ? "" : text.substr(at + kBetween.size());
  (void)CheckClass(class_text);
  (void)SpecClass(spec_text);
  const auto spec = DecodeSpec(spec_text, class_text);
  if (!spec.ok()) return 0;
  Check(!spec->command.empty(), "there is something to run");
  Check(spec->concurrency > 0 && spec->concurrency <= kMaxConcurrency, "somebody is let in");
  Check(spec->scale_min <= spec->scale_max, "a range is one");
  Check(spec->probe_deadline > 0, "there is time to answer");
  // The merged record stands for both.
  const auto merged = DecodeSpec(spec->json, "");
  Check(merged.ok(), "what is merged can be read");
  Check(merged->command == spec->command && merged->concurrency == spec->concurrency &&
            merged->idle == spec->idle && merged->environment == spec->environment,
        "merging loses nothing");
  return 0;
}
