// Answers to SYNs as raw sockets read them, and what ICMP errors quote of the SYN.
#include <cstring>

#include "lib/probe/tcp_packet.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fastcontainer;
  TcpHeader quoted;
  const bool is_quotation = DecodeTcpQuotation(data, size, &quoted);
  Check(is_quotation == (size >= kTcpQuotation), "ports and sequence number are all that a quotation needs");
  TcpHeader whole;
  if (DecodeTcp(data, size, &whole)) {
    Check(size >= kTcpHeaderLength, "a header lies inside of its packet");
    Check(whole.source == quoted.source && whole.destination == quoted.destination &&
              whole.sequence == quoted.sequence,
          "a quotation is the beginning of a header");
    uint8_t syn[kSynLength];
    EncodeSyn(whole.source, whole.destination, whole.sequence, syn);
    Check(std::memcmp(syn, data, kTcpQuotation) == 0, "decoding loses nothing");
  }
  in_addr own{};
  if (DecodeIpv4Tcp(data, size, &own, &whole)) {
    Check(size >= 20 + kTcpHeaderLength && data[9] == IPPROTO_TCP, "TCP comes behind an IP header");
    TcpChecksum(own, own, data, size);
  }
  return 0;
}
