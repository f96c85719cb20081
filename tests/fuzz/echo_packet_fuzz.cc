// Echo replies of either family, and what ICMP errors quote of requests.
#include <cstring>

#include "lib/probe/echo_packet.h"
#include "tests/fuzz/check.h"

namespace fastcontainer {
namespace {

void CheckEcho(const uint8_t* data, size_t size) {
  Echo echo;
  const bool decoded = DecodeEcho(data, size, &echo);
  Check(decoded == (size >= kEchoHeaderLength), "a header is all that an echo needs");
  if (!decoded) return;
  Check(echo.has_tag == (size >= kEchoLength), "there is a tag where there is room for it");
  if (!echo.has_tag) return;
  for (const sa_family_t family : {sa_family_t{AF_INET}, sa_family_t{AF_INET6}}) {
    uint8_t bytes[kEchoLength];
    EncodeEchoRequest(family, echo.id, echo.sequence, echo.tag, bytes);
    Check(std::memcmp(bytes + 4, data + 4, sizeof(bytes) - 4) == 0, "decoding loses nothing");
  }
}

}  // namespace
}  // namespace fastcontainer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fastcontainer;
  CheckEcho(data, size);
  const size_t header = Ipv4HeaderLength(data, size);
  Check(header <= size && (header == 0 || header >= 20), "a header lies inside of its packet");
  if (header != 0) CheckEcho(data + header, size - header);
  InternetChecksum(data, size);
  return 0;
}
