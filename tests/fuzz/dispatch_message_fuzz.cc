// Bodies of the dispatch protocol, as they are behind the MAC.
#include <string>
#include <string_view>

#include "lib/dispatch/message.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fastcontainer;
  const auto message = DecodeMessage(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!message.ok()) return 0;
  std::string once;
  EncodeMessage(*message, &once);
  const auto again = DecodeMessage(once);
  Check(again.ok(), "what is encoded can be decoded");
  std::string twice;
  EncodeMessage(*again, &twice);
  Check(once == twice, "encoding and decoding lose nothing");
  return 0;
}
