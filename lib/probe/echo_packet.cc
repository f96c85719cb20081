#include "lib/probe/echo_packet.h"

#include <arpa/inet.h>
#include <string.h>

namespace fastcontainer {

uint16_t InternetChecksum(const uint8_t* data, size_t length) {
  uint32_t sum = 0;
  for (; length > 1; data += 2, length -= 2) {
    uint16_t word;
    memcpy(&word, data, sizeof(word));
    sum += word;
  }
  if (length == 1) {
    const uint8_t last[2] = {*data, 0};
    uint16_t word;
    memcpy(&word, last, sizeof(word));
    sum += word;
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

void EncodeEchoRequest(sa_family_t family, uint16_t id, uint16_t sequence, const PacketTag& tag,
                       uint8_t (&out)[kEchoLength]) {
  const uint8_t type = family == AF_INET6 ? kEchoRequest6 : kEchoRequest4;
  const uint16_t fields[4] = {htons(static_cast<uint16_t>(type << 8)), 0, htons(id), htons(sequence)};
  memcpy(out, fields, sizeof(fields));
  memcpy(out + kEchoHeaderLength, &tag, sizeof(tag));
  if (family == AF_INET6) return;
  const uint16_t checksum = InternetChecksum(out, kEchoLength);
  memcpy(out + 2, &checksum, sizeof(checksum));
}

bool DecodeEcho(const uint8_t* data, size_t length, Echo* out) {
  if (length < kEchoHeaderLength) return false;
  uint16_t fields[4];
  memcpy(fields, data, sizeof(fields));
  out->type = data[0];
  out->code = data[1];
  out->checksum = fields[1];
  out->id = ntohs(fields[2]);
  out->sequence = ntohs(fields[3]);
  out->has_tag = length >= kEchoLength;
  if (out->has_tag) memcpy(&out->tag, data + kEchoHeaderLength, sizeof(out->tag));
  return true;
}

size_t Ipv4HeaderLength(const uint8_t* data, size_t length) {
  if (length < 20 || data[0] >> 4 != 4) return 0;
  const size_t header = static_cast<size_t>(data[0] & 0x0f) * 4;
  return header >= 20 && header <= length ? header : 0;
}

}  // namespace fastcontainer
