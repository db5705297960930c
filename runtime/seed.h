/* seed.h: deliberate bugs, one per number, for tests that prove that the tests can fail.
 * A build with -DLCW_SEED=n plants bug n; every other build is right. Each place reads
 * SEED(n, wrong, right), and says beside it which test must catch the bug. */
#ifndef LCW_SEED_H
#define LCW_SEED_H

#ifndef LCW_SEED
#define LCW_SEED 0
#endif
#define SEED(n, bug, right) (LCW_SEED == (n) ? (bug) : (right))

#endif
