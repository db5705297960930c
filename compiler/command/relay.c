/* relay.c: see relay.h. */
#include "relay.h"

static Device *real_of(Device *d) { return ((Relay *)(void *)d)->real; }

static void relay_put(Device *d, uint64_t at, const void *from, uint64_t n) {
  real_of(d)->put(real_of(d), at, from, n);
}

static void relay_get(Device *d, void *to, uint64_t at, uint64_t n) {
  real_of(d)->get(real_of(d), to, at, n);
}

static void relay_copy(Device *d, uint64_t to, uint64_t from, uint64_t n) {
  real_of(d)->copy(real_of(d), to, from, n);
}

static void relay_zero(Device *d, uint64_t at, uint64_t n) { real_of(d)->zero(real_of(d), at, n); }

static void relay_launch(Device *d, const Plan *p, uint32_t k, const uint32_t *buf, uint32_t narg) {
  real_of(d)->launch(real_of(d), p, k, buf, narg);
}

static void relay_wait(Device *d) { real_of(d)->wait(real_of(d)); }

void relay_open(Relay *r, Device *real) {
  *r = (Relay){.device = *real, .real = real};
  Device *d = &r->device;
  d->put = relay_put, d->get = relay_get, d->copy = relay_copy, d->zero = relay_zero;
  d->launch = relay_launch;
  if (real->wait) d->wait = relay_wait;
  d->recorder = NULL;
  d->alloc = NULL, d->meter = NULL, d->close = NULL;
}
