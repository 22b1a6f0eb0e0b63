// A prompt of plain prose, cut to the wanted number of tokens by the model's own tokenizer.
export const PROSE = `A river has no need of a map. It leaves the spring as a thread of cold water, finds the lowest stone, and
goes round it; a mile later it is a brook with minnows, and ten miles later a miller has built a wheel across it and two
villages quarrel over who may fish above the weir. Old people there tell of the year in which the river changed its bed in a
single night. They woke to silence, walked out with lamps, and found their bridge standing over gravel and puddles, while the
water ran past the church on the other side of the hill. Nobody was drowned, but the miller had to carry his stones across
two fields, and for a generation the boats of the ferrymen lay in a meadow where children used them as castles. The surveyor
who came from the city drew a careful chart of the new course, signed it, and hung it in the hall. In spring the river moved
again. The chart is still there; visitors are told that it shows the river on the day when somebody believed that he had
finished measuring it. Engineers have since built walls, and the water keeps to its place in most years. But when the snow
melts quickly the farmers still take their tools up to the barns, and someone always walks out at midnight with a lamp to
listen, because a river, they say, is not a line on paper; it is an agreement, and every agreement has to be made again.`;
