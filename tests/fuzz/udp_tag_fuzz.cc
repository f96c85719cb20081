// Datagrams that should begin with a tag, and what ICMP errors quote of them.
#include <cstring>

#include "lib/probe/udp_sockets.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fastcontainer;
  PacketTag tag;
  const bool decoded = DecodeTag(data, size, &tag);
  Check(decoded == (size >= sizeof(tag)), "there is a tag where there is room for it");
  if (decoded) Check(std::memcmp(&tag, data, sizeof(tag)) == 0, "decoding loses nothing");
  return 0;
}
