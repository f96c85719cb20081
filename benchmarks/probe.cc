// One answered probe through the C API of libfastcontainer-probe, beside the least that the kernel charges
// for it: a send and a receive with its stamp on one ping socket. Compare within one run; the times of two
// runs mean nothing.
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <fastcontainer.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace {

sockaddr_in Localhost() {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

void BM_Floor(benchmark::State& state) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
  const bool raw = fd < 0;
  if (raw) fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (fd < 0) {
    state.SkipWithError("no ICMP socket: set net.ipv4.ping_group_range, or run as root");
    return;
  }
  if (raw) {
    const uint32_t filter = ~(1u << ICMP_ECHOREPLY);
    setsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER */, &filter, sizeof(filter));
  }
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
  const sockaddr_in to = Localhost();
  uint8_t request[24] = {ICMP_ECHO};
  const uint16_t checksum = static_cast<uint16_t>(~htons(ICMP_ECHO << 8));
  std::memcpy(request + 2, &checksum, sizeof(checksum));
  for ([[maybe_unused]] auto _ : state) {
    uint8_t reply[128];
    alignas(cmsghdr) uint8_t control[256];
    sockaddr_in from;
    iovec vector = {reply, sizeof(reply)};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof(from);
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    // Loopback answers inside sendto().
    if (sendto(fd, request, sizeof(request), 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0 ||
        recvmsg(fd, &message, MSG_DONTWAIT) < 0) {
      state.SkipWithError(std::strerror(errno));
      break;
    }
    benchmark::DoNotOptimize(reply);
  }
  close(fd);
}
BENCHMARK(BM_Floor);

void BM_Probe(benchmark::State& state) {
  fc_error error = FC_ERROR_INIT;
  fc_prober* prober = nullptr;
  if (fc_prober_create(&prober, nullptr, &error) != FC_OK) {
    state.SkipWithError(error.message);
    return;
  }
  const sockaddr_in to = Localhost();
  int64_t up = 0;
  const fc_probe_cb count = [](void* user_data, const fc_probe_result* result) {
    *static_cast<int64_t*>(user_data) += result->verdict == FC_VERDICT_UP;
  };
  for ([[maybe_unused]] auto _ : state) {
    fc_prober_probe(prober, reinterpret_cast<const sockaddr*>(&to), sizeof(to), nullptr, count, &up, nullptr);
    while (fc_prober_process(prober) == 0) {
    }
  }
  fc_prober_destroy(prober);
  if (up != state.iterations()) state.SkipWithError("localhost did not answer every probe");
}
BENCHMARK(BM_Probe);

}  // namespace

BENCHMARK_MAIN();
