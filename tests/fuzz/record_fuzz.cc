// Records of the CMDB that the library rewrites, and their keys.
#include <string>
#include <string_view>

#include "fastcontainer/records.h"
#include "tests/fuzz/check.h"

namespace fastcontainer {
namespace {

template <typename Decode, typename Encode>
void CheckRewrite(std::string_view text, Decode decode, Encode encode) {
  const auto record = decode(text);
  if (!record.ok()) return;
  const std::string once = encode(*record);
  const auto again = decode(once);
  Check(again.ok(), "what is written can be read");
  Check(encode(*again) == once, "a rewrite changes nothing");
}

void CheckKeys(std::string_view text) {
  const auto parsed = ParseRecordKey(text);
  if (parsed.ok()) Check(RecordKey(parsed->kind, parsed->name) == text, "a key has one form");
  const auto normal = NormalizeKey(text);
  if (!normal.ok()) return;
  const auto again = NormalizeKey(*normal);
  Check(again.ok() && *again == *normal, "the form in which a name is looked up is its own");
}

}  // namespace
}  // namespace fastcontainer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fastcontainer;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  CheckRewrite(text, DecodeKey, EncodeKey);
  CheckRewrite(text, DecodePlacement, EncodePlacement);
  CheckRewrite(text, DecodeHost, EncodeHost);
  CheckRewrite(text, DecodeScores, EncodeScores);
  CheckKeys(text);
  return 0;
}
