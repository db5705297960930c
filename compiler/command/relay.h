/* relay.h: a device that stands before another and hands on what it is asked for. Who stands there
 * begins with a Relay and sets anew what he wants to see:
 *
 *   typedef struct { Relay relay; ... } Witness;
 *   relay_open(&w->relay, session.device), w->relay.device.launch = witness_launch;
 *   executor.device = &w->relay.device; */
#ifndef LCW_RELAY_H
#define LCW_RELAY_H
#include "device.h"

typedef struct {
  Device device; /* first, so that a Device of it is a Relay */
  Device *real;  /* the one behind: opened, metered and closed by whoever has it */
} Relay;

/* Every step is done as it comes: a relay records nothing. */
void relay_open(Relay *r, Device *real);

#endif
